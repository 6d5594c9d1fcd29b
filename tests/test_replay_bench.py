"""Training by replayed steps, as far as a CPU goes: Muon on stacked matrices, a run from one checkpoint to another."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.replay import Muon, orthogonal, train
from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.style.stylizer import Stylizer, StylizerConfig
from studio.training.data import content_and_style

WIDTHS = (4, 4, 4, 4, 4)
TINY = StylizerConfig(widths=WIDTHS, channels=8, half=8, blocks=1, code=12, hidden=8, octaves=1)


def matrices() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape).requires_grad_() for shape in ((6, 4), (3, 8), (6, 4))]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has Muon from 2.9 on")
def test_stacked_matrices_are_turned_as_torch_turns_each() -> None:
    mine, theirs = matrices(), matrices()
    stacked = Muon(mine, torch.tensor(0.1))
    single = torch.optim.Muon(theirs, 0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for one, other in zip(mine, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=torch.Generator().manual_seed(step))
            other.grad = one.grad.clone()
        stacked.step()
        single.step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=5e-3, rtol=0)  # both in bfloat16


def test_an_orthogonal_matrix_has_singular_values_near_one() -> None:
    for shape in ((2, 5, 9), (2, 9, 5)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert float(values.min()) > 0.6
        assert float(values.max()) < 1.3


def test_a_run_goes_from_a_checkpoint_to_another(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = EncoderConfig(WIDTHS, (1, 1, 1, 1, 1))
    before = Stylizer(TINY)
    for path, module, kind, about in (
        (tmp_path / "encoder.safetensors", StyleEncoder(config), "encoder", config),
        (tmp_path / "before.safetensors", before, "stylizer", TINY),
    ):
        checkpoint.save(path, module, kind=kind, config=about, classes=(), provenance={}, metrics={})
    images = torch.randint(0, 255, (10, 3, 40, 40), dtype=torch.uint8)
    parts = [ImageSet(x, torch.full((10,), -1), (), tuple(map(str, range(10)))) for x in (images, images // 4)]
    chosen = {"widths": list(WIDTHS), "channels": 8, "half": 8, "blocks": 1, "code": 12, "hidden": 8}
    chosen |= {"encoder": str(tmp_path / "encoder.safetensors"), "picture": 40, "crop": 32, "held_out": 4, "batch": 2}
    given = Namespace(
        out=tmp_path / "after.safetensors",
        init=tmp_path / "before.safetensors",
        seconds=4.0,
        config=[f"{name}={value}" for name, value in {**chosen, "ema_images": 4, "learning_rate": 0.01}.items()],
        note=["data=noise"],
    )
    saved = train(given, content_and_style(*parts))
    told = saved.provenance
    assert (told["data"], told["recipe"], told["training_features"]) == ("noise", "stylizer", ["encoder"])
    assert told["images_seen"] >= 4
    assert told["init"][0]["kind"] == "stylizer"
    assert "/" not in told["stages"][0]["trainer"]["encoder"]
    assert saved.metrics.keys() == {"held_out_content", "held_out_gram"}
    after = saved.build_module()
    assert isinstance(after, Stylizer)
    assert not torch.allclose(after.exit.weight, before.exit.weight, atol=1e-4)
