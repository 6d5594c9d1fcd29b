"""Whole evaluations of generators whose faults are known."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from studio.core.dataset import ImageSet
from studio.core.errors import DataError, InvalidRequest
from studio.core.kinds import LatentModel
from studio.core.progress import Progress, result_of
from studio.evaluation.config import EvaluationConfig
from studio.evaluation.draw import apportion, draw
from studio.evaluation.evaluate import evaluate, real_floor
from studio.evaluation.report import Report

CLASSES = ("dark", "light")
CONFIG = EvaluationConfig(features=("colour",), count=60, batch=16)
Build = Callable[..., ImageSet]
Paint = Callable[..., LatentModel]


def judge(model: LatentModel, reference: ImageSet, training: ImageSet | None = None, **options: object) -> Report:
    config = dataclasses.replace(CONFIG, **{k: options.pop(k) for k in list(options) if hasattr(CONFIG, k)})
    return result_of(evaluate(model, reference, training, config, classes=CLASSES, **options))


def test_an_honest_generator_is_near_and_no_class_has_collapsed(painter: Paint, real: Build) -> None:
    report = judge(painter(), real(400), real(600, seed=7), count=300)
    metrics = report.metrics
    assert abs(metrics["kid-colour"]) < 0.02
    assert metrics["precision-colour"] > 0.6
    assert metrics["recall-colour"] > 0.6
    assert metrics["diversity-ratio-colour"] == pytest.approx(1, abs=0.2)
    assert metrics["novelty-colour"] == pytest.approx(1, abs=0.3)
    assert metrics["copies-colour"] < 0.05
    assert metrics["collapsed-classes-colour"] == 0
    assert report.collapsed == ()
    assert [(row.name, row.count, row.reference) for row in report.classes] == [("dark", 150, 200), ("light", 150, 200)]


def test_a_generator_that_ignores_z_has_collapsed_in_every_class(painter: Paint, real: Build) -> None:
    honest, report = judge(painter(), real()), judge(painter(spread=0.05), real())
    assert report.collapsed == CLASSES
    assert report.metrics["collapsed-classes-colour"] == 2
    assert report.metrics["diversity-ratio-worst-class-colour"] < 0.01
    assert report.metrics["recall-colour"] < 0.2
    assert report.metrics["kid-colour"] > honest.metrics["kid-colour"] + 0.002
    assert report.metrics["fid-colour"] > honest.metrics["fid-colour"]


def test_overall_diversity_alone_would_miss_the_collapse(painter: Paint, real: Build) -> None:
    report = judge(painter(spread=0.05), real())
    assert report.metrics["diversity-ratio-colour"] > 10 * report.metrics["diversity-ratio-worst-class-colour"]


def test_a_generator_of_training_images_is_found_out(painter: Paint, real: Build) -> None:
    model = painter()
    labels = torch.arange(60) // 30
    copied = torch.cat([batch for _, batch in draw(model, CLASSES, CLASSES, labels, CONFIG)])
    training = real(100, seed=3)
    flipped = copied[:15].flip(3)
    more = torch.zeros(15, dtype=torch.long)
    training = ImageSet(torch.cat([training.images, flipped]), torch.cat([training.labels, more]), CLASSES, ("",) * 115)
    report = judge(model, real(), training)
    assert 0.25 <= report.metrics["copies-colour"] < 0.35
    assert report.classes[0].copies == pytest.approx(report.metrics["copies-colour"] * 2, abs=0.1)
    assert report.sheets["nearest"].width > report.sheets["nearest"].height / 2


def test_classes_are_drawn_in_the_references_proportions_whatever_the_models_order(painter: Paint, real: Build) -> None:
    reference = real(64)
    three_quarters_light = reference.take(torch.cat([torch.arange(1, 64, 2), torch.arange(0, 20, 2)]))
    straight = judge(painter(), three_quarters_light)
    assert [row.count for row in straight.classes] == [14, 46]
    swapped = painter()
    swapped.w_mean.neg_()  # its first class is now the light one
    config = dataclasses.replace(CONFIG, seed=0)
    again = result_of(evaluate(swapped, three_quarters_light, None, config, classes=("light", "dark")))
    assert again.metrics == pytest.approx(straight.metrics)


def test_largest_remainders_share_out_every_picture() -> None:
    assert apportion(10, torch.tensor([0, 0, 0, 2, 2, 5])) == {0: 5, 2: 3, 5: 2}
    assert apportion(2, torch.tensor([0, 1, 2])) == {0: 1, 1: 1, 2: 0}
    assert sum(apportion(997, torch.arange(13) ** 2 % 7).values()) == 997


def test_a_model_without_classes_is_judged_as_a_whole(painter: Paint, real: Build) -> None:
    report = judge(painter(class_count=0), real())
    assert report.classes == ()
    assert "collapsed-classes-colour" not in report.metrics
    assert 0 < report.metrics["diversity-ratio-colour"] < 1


def test_truncation_draws_towards_the_mean_of_the_class(painter: Paint, real: Build) -> None:
    whole, half = judge(painter(), real()), judge(painter(), real(), truncation=0.5)
    for row, truncated in zip(whole.classes, half.classes, strict=True):
        assert truncated.ratio < 0.6 * row.ratio
    nothing = judge(painter(), real(), truncation=0.0)
    assert all(row.diversity == pytest.approx(0, abs=1e-6) for row in nothing.classes)
    assert nothing.metrics["diversity-ratio-colour"] > 0.2  # the classes still differ


def test_the_same_seed_gives_the_same_report_and_another_seed_another(painter: Paint, real: Build) -> None:
    first = judge(painter(), real())
    assert judge(painter(), real()).metrics == first.metrics
    assert judge(painter(), real(), batch=7).metrics == pytest.approx(first.metrics, rel=1e-4)
    assert judge(painter(), real(), seed=60).metrics != first.metrics


def test_progress_counts_up_to_its_total_and_shows_the_samples(painter: Paint, real: Build) -> None:
    steps: list[Progress[Report]] = list(evaluate(painter(), real(), real(40, seed=7), CONFIG, classes=CLASSES))
    counts = [progress.step for progress in steps]
    assert counts == sorted(counts)
    assert {progress.total for progress in steps} == {60 + 64 + 60 + 40 + 2 * 60}
    assert steps[-1].step == steps[-1].total
    assert [progress.result is not None for progress in steps] == [False] * (len(steps) - 1) + [True]
    previews = [progress.preview for progress in steps if progress.preview is not None]
    assert previews[0] is steps[-1].result.sheets["samples"]


def test_an_evaluation_stopped_half_way_leaves_gradients_as_they_were(painter: Paint, real: Build) -> None:
    job = evaluate(painter(), real(), None, CONFIG, classes=CLASSES)
    for _ in range(3):
        next(job)
        assert torch.is_grad_enabled()
    job.close()
    assert torch.is_grad_enabled()


def test_the_cache_changes_nothing_but_the_time(painter: Paint, real: Build, tmp_path: Path) -> None:
    without = judge(painter(), real(), real(40, seed=7))
    for _ in range(2):
        cached = judge(painter(), real(), real(40, seed=7), cache=tmp_path)
        assert cached.metrics == without.metrics
    assert len(list(tmp_path.iterdir())) == 2


def test_a_model_in_training_mode_is_a_mistake_of_the_caller(painter: Paint, real: Build) -> None:
    with pytest.raises(ValueError, match="eval mode"):
        judge(painter().train(), real())


def test_a_model_is_refused_as_its_own_judge(painter: Paint, real: Build) -> None:
    with pytest.raises(InvalidRequest, match="trained with colour features"):
        judge(painter(), real(), training_features=["colour"])


def test_reference_classes_that_do_not_fit_the_model_are_a_sentence(painter: Paint, real: Build) -> None:
    with pytest.raises(DataError, match="64 reference images have no class"):
        judge(painter(), real(classes=()))
    with pytest.raises(DataError, match=r"no class 'light'.*among its classes: dark, dim"):
        result_of(evaluate(painter(), real(), None, CONFIG, classes=("dark", "dim")))
    with pytest.raises(InvalidRequest, match="has 2 classes, and 0 names"):
        result_of(evaluate(painter(), real(), None, CONFIG))
    with pytest.raises(DataError, match="has 4 images; at least 8"):
        judge(painter(), real(4))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"features": ()}, "once; got: none"),
        ({"features": ("colour", "colour=x")}, "once; got: colour, colour"),
        ({"count": 7}, "7 pictures cannot be judged"),
        ({"count": 10**9}, "cannot be judged"),
        ({"truncation": float("nan")}, "truncation nan is out of range"),
        ({"truncation": -0.1}, "out of range"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": 2**63 - 1}, "out of range"),
        ({"batch": 0}, "batch of 0 is out of range"),
    ],
)
def test_settings_out_of_range_are_a_sentence(change: dict, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        dataclasses.replace(CONFIG, **change)


def test_the_floor_is_what_an_honest_generator_gets(real: Build) -> None:
    report = result_of(
        real_floor(real(400), real(600, seed=7), dataclasses.replace(CONFIG, count=300), measure_novelty=True)
    )
    assert report.name == "real images"
    assert report.count == 300
    assert abs(report.metrics["kid-colour"]) < 0.02
    assert report.metrics["novelty-colour"] == pytest.approx(1, abs=0.3)
    assert report.collapsed == ()
    json.dumps(report.to_json(), allow_nan=False)


def test_the_floor_matches_classes_by_name_and_says_where_images_are_few(real: Build) -> None:
    training = real(40, seed=7)
    renamed = dataclasses.replace(training, labels=1 - training.labels, classes=("light", "dark"))
    report = result_of(real_floor(real(), renamed, CONFIG))
    assert report.count == 40
    assert [row.count for row in report.classes] == [20, 20]
    assert abs(report.metrics["kid-colour"]) < 0.15
    assert "Only 20 training images stand in for 30 of class dark." in report.notes
    with pytest.raises(DataError, match="no class 'dark'"):
        result_of(real_floor(real(), dataclasses.replace(training, classes=("dim", "light")), CONFIG))
