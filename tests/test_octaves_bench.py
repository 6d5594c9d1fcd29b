"""Octaves given to a stylizer that was trained without: its weights stay, and codes are those that it would read."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import octaves
from studio.core import checkpoint
from studio.core.images import open_image, to_image, to_tensor
from studio.core.octaves import strengths
from studio.style.codes import KIND, CodesConfig, StyleCodes, read_codes
from studio.style.stylizer import Stylizer, StylizerConfig

SMALL = StylizerConfig(widths=(4, 4, 4, 4, 4), channels=8, half=8, blocks=1, code=12, hidden=8)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a stylizer and the code of a work, and the work in a folder beside them."""
    torch.manual_seed(0)
    (tmp_path / "works").mkdir()
    work = (0.3 * torch.randn(3, 80, 120)).clamp(-1, 1)
    to_image(work).save(tmp_path / "works" / "noise.png")
    path = tmp_path / "stylizer.safetensors"
    saved = checkpoint.save(
        path, Stylizer(SMALL), kind="stylizer", config=SMALL, classes=(), provenance={"data": "none"}, metrics={}
    )
    table = StyleCodes(CodesConfig(SMALL.code_length, saved.sha256), 1)
    table.codes.normal_()
    works = tmp_path / "masterworks.safetensors"
    checkpoint.save(works, table, kind=KIND, config=table.config, classes=("noise",), provenance={}, metrics={})
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, works: str = "works") -> None:
    files = [str(folder / f"{name}.safetensors") for name in ("stylizer", "masterworks")]
    monkeypatch.setattr(sys, "argv", ["octaves", *files, str(folder / works), "--out", str(folder / "out")])
    octaves.main()


def test_the_weights_stay_and_the_code_gets_the_octaves_of_its_work(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, models)
    before, after = (checkpoint.load(path / "stylizer.safetensors") for path in (models, models / "out"))
    assert after.config == {**before.config, "octaves": 3}
    assert after.provenance["before"] == before.sha256
    theirs = after.tensors()
    assert all(torch.equal(value, theirs[name]) for name, value in before.tensors().items())
    works = [checkpoint.load(path / "masterworks.safetensors") for path in (models, models / "out")]
    assert works[1].config["stylizer"] == after.sha256
    old, new = (read_codes(each)["noise"] for each in works)
    torch.testing.assert_close(new[: len(old)], old, atol=2e-3, rtol=2e-3)
    assert len(new) == len(old) + 9
    work = to_tensor(open_image(models / "works" / "noise.png"))[None]  # as it is: it would be painted larger
    torch.testing.assert_close(new[len(old) :], strengths(work, 3)[0], atol=5e-3, rtol=0)


def test_a_work_that_is_not_there_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "empty").mkdir()
    with pytest.raises(SystemExit):
        run(monkeypatch, models, "empty")
    assert "has no picture of 'noise'" in capsys.readouterr().err
    assert not (models / "out").exists()
