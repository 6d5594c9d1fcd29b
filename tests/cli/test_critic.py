"""``studio classify``, and the critic in ``studio evaluate``."""

from pathlib import Path

import pytest
import torch
from critics import write_classifier
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


@pytest.fixture
def critic(library: Path) -> Path:
    return write_classifier(library / "classifier.safetensors", training_features=["vgg16"])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.linear_gradient("L").convert("RGB").resize((48, 32)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


GREY = ("--features", "grey", "--count", 16)


def test_a_picture_has_a_line_a_class(studio, critic: Path, photo: Path) -> None:
    outcome = studio("classify", photo)
    lines = outcome.out.splitlines()
    assert sorted(line.split()[0] for line in lines) == ["blue", "red"]
    assert sum(float(line.split()[1]) for line in lines) == pytest.approx(100, abs=0.15)
    assert all(line.endswith(" %") for line in lines)


def test_json_holds_the_probabilities(studio, critic: Path, photo: Path) -> None:
    record = studio("classify", photo, "--json").record
    assert sum(record["probabilities"].values()) == pytest.approx(1)
    assert record["class"] == next(iter(record["probabilities"]))
    assert record["picture"] == str(photo)


def test_saliency_is_written_as_a_picture(studio, critic: Path, photo: Path, tmp_path: Path) -> None:
    outcome = studio("classify", photo, "--saliency", tmp_path / "s.png", "--class", "red", "--json")
    assert outcome.record["saliency"] == str(tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as image:
        assert image.size == (48, 32)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nothing.png"], "nothing.png"),
        (["BROKEN"], "broken.png"),
        (["PHOTO", "--class", "red"], "add --saliency"),
        (["PHOTO", "--saliency", "s.jpg"], "end in .png"),
        (["PHOTO", "--saliency", "s.png", "--class", "cubism"], "known: blue, red"),
    ],
)
def test_bad_input_is_one_sentence(studio, critic: Path, photo: Path, args: list[str], says: str) -> None:
    broken = photo.with_name("broken.png")
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    paths = {"PHOTO": str(photo), "BROKEN": str(broken)}
    assert says in studio("classify", *(paths.get(arg, arg) for arg in args)).sentence


def test_without_a_critic_there_is_one_sentence(studio, library: Path, photo: Path) -> None:
    assert "classifier.safetensors" in studio("classify", photo).sentence


def test_a_critic_that_is_there_is_asked_without_being_named(studio, critic: Path, pictures: Path) -> None:
    report = studio("evaluate", "tiny", "--data", pictures, *GREY, "--json").record["reports"]["tiny"]
    assert 0 <= report["metrics"]["class-consistency-classifier"] <= 1
    assert [row["name"] for row in report["consistency"]] == ["blue", "red"]
    assert "class-consistency" not in studio("evaluate", "tiny", "--data", pictures, *GREY, "--critic", "none").out


def test_a_critic_can_be_named_by_path(studio, library: Path, pictures: Path, tmp_path: Path) -> None:
    path = write_classifier(tmp_path / "mine.safetensors")
    outcome = studio("evaluate", "tiny", "--data", pictures, *GREY, "--critic", path)
    assert "| class consistency (mean share of a class that the critic calls so) | mine | higher |" in outcome.out


def test_a_critic_of_the_same_eyes_is_left_out_with_a_note_and_refused_by_name(
    studio, library: Path, pictures: Path, save_tiny
) -> None:
    write_classifier(library / "classifier.safetensors", training_features=["lite0"])
    save_tiny(library / "pupil.safetensors", training_features=["lite0"])
    outcome = studio("evaluate", "pupil", "--data", pictures, *GREY)
    assert "Class consistency is left out: model and critic were both trained with lite0 features." in outcome.out
    assert "critic calls so" not in outcome.out
    (pictures / "red" / "broken.png").unlink()
    assert "--critic none" in studio("evaluate", "pupil", "--data", pictures, *GREY, "--critic", "classifier").sentence


@pytest.mark.parametrize(("name", "says"), [("nobody", "no critic 'nobody'"), ("tiny", "of kind 'dcgan'")])
def test_what_is_no_critic_is_one_sentence(studio, library: Path, pictures: Path, name: str, says: str) -> None:
    assert says in studio("evaluate", "tiny", "--data", pictures, *GREY, "--critic", name).sentence


def test_a_classifier_is_judged_by_its_accuracy(studio, critic: Path, pictures: Path, tmp_path: Path) -> None:
    card, sheets = tmp_path / "classifier.md", tmp_path / "sheets"
    outcome = studio("evaluate", "classifier", "--data", pictures, "--card", card, "--sheets", sheets)
    assert outcome.status == 0, outcome.err
    assert "balanced accuracy" in outcome.out
    assert outcome.out.strip() in card.read_text()
    assert [path.name for path in sheets.iterdir()] == ["classifier-confusion.png"]
    report = studio("evaluate", critic, "--data", pictures, "--json").record["reports"]["classifier"]
    assert report["count"] == 20
    assert sum(map(sum, report["confusion"])) == 20
