"""``studio evaluate``: the table, the card, the JSON line. A small network of random features is the judge."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from studio.evaluation.features import FEATURES, FeatureNet, Features, unit_rows


class Grey(FeatureNet):
    """Sixteen grey values of a picture."""

    name = "grey"
    num_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def pooled_and_maps(self, x: Tensor) -> Features:
        pooled = torch.nn.functional.adaptive_avg_pool2d(self.scale * x.mean(1, keepdim=True), 4).flatten(1)
        return Features(pooled, (unit_rows(pooled),))


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lite0" in FEATURES  # fills the table
    monkeypatch.setitem(FEATURES._entries, "grey", lambda path: Grey())


def test_the_table_has_a_column_a_model_and_one_for_real_pictures(studio, library: Path, pictures: Path) -> None:
    (library / "other.safetensors").write_bytes((library / "tiny.safetensors").read_bytes())
    options = ("--features", "grey", "--count", 16, "--beside", "other", "--train-data", pictures, "--floor")
    outcome = studio("evaluate", "tiny", "--data", pictures, *options)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("| metric | features | better | tiny | other | real images |\n")
    assert "| KID | grey | lower |" in outcome.out


def test_json_holds_the_metrics_by_model(studio, library: Path, pictures: Path) -> None:
    outcome = studio("evaluate", "tiny", "--data", pictures, "--features", "grey", "--count", 16, "--json")
    report = outcome.record["reports"]["tiny"]
    assert (report["count"], report["reference_count"]) == (16, 20)
    assert {"kid-grey", "fid-grey"} <= report["metrics"].keys()


def test_card_and_sheets_are_written(studio, library: Path, pictures: Path, tmp_path: Path) -> None:
    card, sheets = tmp_path / "tiny.md", tmp_path / "sheets"
    card.write_text("# Tiny\n\nBy hand.\n")
    options = ("--features", "grey", "--count", 16, "--train-data", pictures, "--card", card, "--sheets", sheets)
    outcome = studio("evaluate", "tiny", "--data", pictures, *options)
    assert outcome.status == 0, outcome.err
    assert card.read_text().startswith("# Tiny\n\nBy hand.\n")
    assert outcome.out.strip() in card.read_text()
    assert sorted(path.name for path in sheets.iterdir()) == ["tiny-nearest.png", "tiny-samples.png"]
    with Image.open(sheets / "tiny-samples.png") as sheet:
        assert sheet.width > 8 * 32


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nobody", "--data", "DATA"], "known: tiny"),
        (["tiny", "--data", "nowhere"], "nowhere"),
        (["tiny", "--data", "DATA", "--features", "green"], "known: vgg16, lite0"),
        (["tiny", "--data", "DATA", "--features", "grey", "grey"], "once"),
        (["tiny", "--data", "DATA", "--features", "grey", "--count", "1"], "between 8"),
        (["tiny", "--data", "DATA", "--features", "grey", "--truncation", "nan"], "nan"),
        (["tiny", "--data", "DATA", "--features", "grey", "--seed", "-1"], "-1"),
        (["tiny", "--data", "DATA", "--features", "grey", "--classes", "green"], "'green'"),
        (["tiny", "--data", "DATA", "--floor"], "--train-data"),
    ],
)
def test_bad_input_is_one_sentence(studio, library: Path, pictures: Path, args: list[str], says: str) -> None:
    (pictures / "red" / "broken.png").unlink()
    assert says in studio("evaluate", *(str(pictures) if arg == "DATA" else arg for arg in args)).sentence


def test_a_model_is_not_judged_by_its_own_teacher(studio, library: Path, pictures: Path, save_tiny) -> None:
    (pictures / "red" / "broken.png").unlink()
    save_tiny(library / "pupil.safetensors", training_features=["grey"])
    assert "flatter itself" in studio("evaluate", "pupil", "--data", pictures, "--features", "grey").sentence
