"""Class consistency, worked by hand, and who may not ask which critic."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from critics import by_colour, write_classifier

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import CheckpointError, DataError, InvalidRequest
from studio.core.kinds import LatentModel
from studio.core.progress import result_of
from studio.evaluation.accuracy import measure_accuracy
from studio.evaluation.config import EvaluationConfig
from studio.evaluation.confusion import accuracies, confusion, confusion_sheet, recalls
from studio.evaluation.critic import (
    ConsistencyRow,
    Critic,
    called,
    consistency,
    consistency_metrics,
    open_critic,
    refuse_shared_eyes,
    shared_eyes,
)
from studio.evaluation.evaluate import evaluate
from studio.evaluation.report import card_section, reading

CLASSES = ("dark", "light")


def critic(*features: str, classes: tuple[str, ...] = ("blue", "red"), name: str = "classifier") -> Critic:
    return Critic(name, by_colour(), classes, features)


def plain(*colours: tuple[int, int, int], side: int = 20) -> torch.Tensor:
    """A plain picture of each colour, (N,3,side,side) uint8."""
    return torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].expand(-1, -1, side, side)


def asked(judge: Critic, images: torch.Tensor) -> list[int]:
    job = called(judge, images, 2)
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value.tolist()


def test_called_tells_blue_from_red() -> None:
    images = plain((0, 0, 200), (200, 0, 0), (90, 255, 100))
    assert asked(critic(), images) == [0, 1, 0]


def test_consistency_is_the_share_of_a_class_that_is_called_so() -> None:
    # drawn: 4 red ones, of which 3 are called red (1); 2 blue ones, of which 1 is called blue (0); 1 green, unknown
    names = ("red", "green", "blue")
    drawn, drawn_as = torch.tensor([0, 0, 0, 0, 2, 2, 1]), torch.tensor([1, 1, 1, 0, 0, 1, 0])
    real, real_as = torch.tensor([0, 0, 2]), torch.tensor([1, 1, 1])
    rows = consistency(critic(), names, drawn, drawn_as, real, real_as)
    assert rows == (
        ConsistencyRow("red", "classifier", 4, 2, 0.75, 1.0),
        ConsistencyRow("blue", "classifier", 2, 1, 0.5, 0.0),
    )
    assert consistency_metrics(critic(), rows) == {
        "class-consistency-classifier": 0.625,
        "class-consistency-real-classifier": 0.5,
    }


def test_a_class_without_real_pictures_has_no_share_of_them() -> None:
    none = torch.tensor([], dtype=torch.long)
    (row,) = consistency(critic(), ("red",), torch.tensor([0]), torch.tensor([1]), none, none)
    assert (row.share, row.real, row.reference) == (1.0, None, 0)
    assert consistency_metrics(critic(), (row,)) == {"class-consistency-classifier": 1.0}


@pytest.mark.parametrize(
    ("features", "trained_on", "shared"),
    [
        (("vgg16", "encoder"), ("lite0",), ()),
        (("vgg16", "encoder"), (), ()),
        (("lite0",), ("lite0",), ("lite0",)),
        (("vgg16",), ("vgg16-relu3_3", "lite0"), ("vgg16",)),
        (("vgg16-relu3_3",), ("vgg16",), ("vgg16",)),
        (("vgg16",), ("classifier",), ("classifier",)),
    ],
)
def test_a_critic_with_the_models_own_eyes_is_refused(
    features: tuple[str, ...], trained_on: tuple[str, ...], shared: tuple[str, ...]
) -> None:
    judge = critic(*features)
    assert shared_eyes(judge, trained_on) == shared
    if shared:
        with pytest.raises(InvalidRequest, match=f"trained with {shared[0]} features.*--critic none"):
            refuse_shared_eyes(judge, trained_on)
    else:
        refuse_shared_eyes(judge, trained_on)


def test_the_report_of_a_generator_shows_consistency(
    painter: Callable[..., LatentModel], real: Callable[..., ImageSet]
) -> None:
    # The dark class is made blue and the light one red, so that the critic knows them apart without fail.
    model = painter(spread=0.0)
    blue, red = torch.tensor([-3.0, -3, 3]), torch.tensor([3.0, -3, -3])
    model.w_mean[0], model.w_mean[1] = blue.repeat_interleave(4), red.repeat_interleave(4)
    names = ("dark", "light")
    config = EvaluationConfig(features=("colour",), count=20)
    judge = critic(classes=names)
    job = list(evaluate(model, real(), None, config, classes=names, critic=judge))
    report = result_of(iter(job))
    assert [progress.step for progress in job] == sorted(progress.step for progress in job)
    assert job[-1].step == job[-1].total
    assert report.metrics["class-consistency-classifier"] == 1
    assert [(row.name, row.count, row.reference, row.share) for row in report.consistency] == [
        ("dark", 10, 32, 1.0),
        ("light", 10, 32, 1.0),
    ]
    assert "| dark | classifier | 10 | 1.00 | 32 |" in card_section({"m": report})
    assert "| class consistency (mean share of a class that the critic calls so) | classifier | higher | 1.000 |" in (
        card_section({"m": report})
    )
    assert json.loads(json.dumps(report.to_json()))["consistency"][0]["share"] == 1
    swapped = dataclasses.replace(judge, classes=("light", "dark"))
    turned = result_of(evaluate(model, real(), None, config, classes=names, critic=swapped))
    assert turned.metrics["class-consistency-classifier"] == 0


def test_a_critic_that_knows_no_class_leaves_a_note_and_one_without_classes_nothing(
    painter: Callable[..., LatentModel], real: Callable[..., ImageSet]
) -> None:
    config = EvaluationConfig(features=("colour",), count=8)
    report = result_of(evaluate(painter(), real(), None, config, classes=CLASSES, critic=critic()))
    assert report.consistency == ()
    assert "knows none of the classes" in report.notes[0]
    plainly = result_of(evaluate(painter(class_count=0), real(), None, config, critic=critic()))
    assert (plainly.consistency, plainly.notes) == ((), ())
    assert not any(name.startswith("class-consistency") for name in plainly.metrics)


def test_evaluating_refuses_a_critic_with_the_models_eyes(
    painter: Callable[..., LatentModel], real: Callable[..., ImageSet]
) -> None:
    config = EvaluationConfig(features=("colour",), count=8)
    job = evaluate(
        painter(), real(), None, config, classes=CLASSES, training_features=("lite0",), critic=critic("lite0")
    )
    with pytest.raises(InvalidRequest, match="lite0"):
        next(job)


def test_readings_name_the_critic() -> None:
    assert reading("class-consistency-classifier")[1:] == ("classifier", "higher")
    assert reading("class-consistency-real-mine") == ("the same share of real images", "mine", "")


def test_a_critic_is_opened_with_its_features_and_no_other_kind_is_one(tmp_path: Path) -> None:
    path = write_classifier(tmp_path / "mine.safetensors", training_features=["vgg16", "encoder"])
    opened = open_critic(checkpoint.load(path))
    assert (opened.name, opened.classes, opened.features) == ("mine", ("blue", "red"), ("vgg16", "encoder"))
    from studio.core.kinds import MODEL_KINDS

    kind = MODEL_KINDS["dcgan"]
    config = kind.config(resolution=32, latent_dim=8, channels=16, class_dim=4)
    model = kind.build(config, 2).eval()
    gan = tmp_path / "gan.safetensors"
    checkpoint.save(gan, model, kind="dcgan", config=config, classes=CLASSES, provenance={}, metrics={})
    with pytest.raises(CheckpointError, match=r"gan\.safetensors is of kind 'dcgan'"):
        open_critic(checkpoint.load(gan))


def test_confusion_counts_rows_by_what_they_are() -> None:
    matrix = confusion(torch.tensor([0, 0, 1, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [1, 3, 0], [0, 0, 0]]
    assert recalls(matrix)[:2].tolist() == [0.5, 0.75]
    assert accuracies(matrix) == {"accuracy": pytest.approx(4 / 6), "balanced_accuracy": 0.625}


def test_the_sheet_darkens_where_a_row_goes() -> None:
    image = confusion_sheet(torch.tensor([[4, 0], [2, 2]]), ("blue", "red"))
    corner = [image.getpixel((128 + 56 * column + 4, 128 + 56 * row + 4)) for row in (0, 1) for column in (0, 1)]
    assert corner == [(38, 92, 140), (255, 255, 255), (146, 174, 198), (146, 174, 198)]


def test_accuracy_of_a_classifier_is_measured_in_its_own_order_of_classes() -> None:
    images = plain((0, 0, 200), (200, 0, 0), (180, 0, 10), (0, 0, 90), (90, 0, 0))
    labels = torch.tensor([1, 0, 0, 0, 0])  # red, blue in the data's order: the fourth is blue but called red by label
    data = ImageSet(images, labels, ("red", "blue"), ("",) * 5)
    report = result_of(measure_accuracy(critic(), data))
    assert report.matrix.tolist() == [[1, 0], [1, 3]]
    assert report.metrics == {"accuracy": 0.8, "balanced_accuracy": 0.875}
    assert report.to_json()["by_class"] == {"blue": 1.0, "red": 0.75}
    assert "| red | 4 | 0.75 | blue (1) |" in report.section()


@pytest.mark.parametrize(("classes", "label"), [(("green", "red"), 0), (("blue", "red"), -1)])
def test_pictures_of_no_known_class_cannot_judge(classes: tuple[str, ...], label: int) -> None:
    data = ImageSet(plain((0, 0, 200)), torch.tensor([label]), classes, ("a",))
    with pytest.raises(DataError, match="--classes: blue,red"):
        result_of(measure_accuracy(critic(), data))
