"""Every registered kind keeps the engine's promise: a seed is the same picture alone, in a batch and after a save."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sketch import pixels, same

from studio.core import checkpoint
from studio.core.images import to_uint8
from studio.core.kinds import MODEL_KINDS
from studio.core.progress import result_of
from studio.engine import Engine, SampleRequest
from studio.latent.seeds import noise
from studio.models.base import measure_w_mean
from studio.settings import Settings

CLASSES = ("landscape", "portrait")


@pytest.fixture
def real_kinds() -> None:
    """Tests that ask for this run on the kinds of studio.models."""


@pytest.mark.parametrize("classes", [(), CLASSES], ids=["plain", "classes"])
@pytest.mark.parametrize("kind", [name for name in MODEL_KINDS if MODEL_KINDS[name].latent])
def test_a_seed_is_a_picture(
    kind: str, classes: tuple[str, ...], settings: Settings, tmp_path: Path, real_kinds: None
) -> None:
    config = MODEL_KINDS[kind].config(resolution=32)
    model = MODEL_KINDS[kind].build(config, len(classes)).eval()
    measure_w_mean(model, count=16)
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, model, kind=kind, config=config, classes=classes, provenance={}, metrics={})
    engine = Engine(settings)
    batch = result_of(engine.sample(SampleRequest(model=str(path), seed=5, count=3)))
    assert all(np.ptp(pixels(item.image)) > 0 for item in batch)
    assert not same(batch[0].image, batch[1].image)
    for item in batch:
        assert same(item.image, engine.render(str(path), item.seed).image)
    assert same(batch[2].image, Engine(settings).render(str(path), batch[2].picture).image)


@pytest.mark.parametrize("kind", [name for name in MODEL_KINDS if MODEL_KINDS[name].latent])
def test_folding_for_inference_changes_no_picture_visibly(
    kind: str, settings: Settings, tmp_path: Path, real_kinds: None
) -> None:
    config = MODEL_KINDS[kind].config(resolution=32)
    model = MODEL_KINDS[kind].build(config, 0).eval()
    path = tmp_path / "model.safetensors"
    saved = checkpoint.save(path, model, kind=kind, config=config, classes=(), provenance={}, metrics={})
    with torch.inference_mode():
        plain = saved.build()
        expected = to_uint8(plain.synthesis(plain.mapping(noise([3], plain.latent_dim))))[0]
    made = pixels(Engine(settings).render(str(path), 3, truncation=1).image)
    assert np.abs(made.astype(int) - expected).max() <= 1
