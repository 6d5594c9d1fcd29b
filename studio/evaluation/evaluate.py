"""Judging a generator: draw pictures, describe them and the real ones, compare. And the same for real against real."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import DataError
from studio.core.kinds import LatentModel
from studio.core.progress import Progress
from studio.evaluation.cache import describe_cached, likenesses_cached
from studio.evaluation.compare import ClassRow, class_metrics, compare, compare_classes
from studio.evaluation.config import MINIMUM, EvaluationConfig
from studio.evaluation.critic import Critic, called, consistency, consistency_metrics, refuse_shared_eyes
from studio.evaluation.draw import apportion, class_labels, draw
from studio.evaluation.features import Description, FeatureNet, describe, feature_net, likenesses, refuse_own_judge
from studio.evaluation.metrics import Novelty, novelty
from studio.evaluation.report import Report
from studio.evaluation.sheets import nearest_sheet, samples_sheet

T = TypeVar("T")


@dataclass
class Tally:
    """Counts images over all stages of a job."""

    total: int
    step: int = 0

    def count(self, stage: Generator[int, None, T]) -> Generator[Progress[Report], None, T]:
        """Turn a stage's counts into Progress."""
        while True:
            try:
                self.step += next(stage)
            except StopIteration as stop:
                result: T = stop.value
                return result
            yield Progress(self.step, self.total)


def evaluate(
    model: LatentModel,
    reference: ImageSet,
    training: ImageSet | None = None,
    config: EvaluationConfig | None = None,
    *,
    name: str = "",
    classes: Sequence[str] = (),
    training_features: Sequence[str] = (),
    cache: Path | None = None,
    critic: Critic | None = None,
) -> Generator[Progress[Report], None, None]:
    """Judge a model against held-out images; the last item carries the Report.

    model: in eval mode, on the device to use. reference: held-out images, read at 128 px or more. training: what the
    model was trained on, for novelty. classes: the names of a conditional model's classes, in its order; pictures are
    drawn with the classes in the reference's proportions. training_features: names of the networks that its training
    used, refused as judges. cache: a folder for descriptions of the real images. critic: asked whether drawn pictures
    look like their class, where the model has classes. preview: the sheet of samples, once.
    """
    if model.training:
        raise ValueError("evaluate() needs a model in eval mode")
    config = config or EvaluationConfig()
    refuse_own_judge(config.features, training_features)
    critic = critic if model.class_count else None
    if critic is not None:
        refuse_shared_eyes(critic, training_features)
    labels = class_labels(model, classes, reference, config.count)
    _check_real(reference, "reference")
    nets = [feature_net(spec, model.w_mean.device) for spec in config.features]
    asked = config.count + len(reference) if critic else 0
    tally = Tally(_total(len(nets), len(reference), config.count, training) + asked)
    images = torch.empty(config.count, 3, model.resolution, model.resolution, dtype=torch.uint8)
    for rows, batch in draw(model, classes, reference.classes, labels, config):
        images[rows] = batch
        tally.step += len(batch)
        yield Progress(tally.step, tally.total)
    sheets = {"samples": samples_sheet(images, labels, reference.classes)}
    yield Progress(tally.step, tally.total, preview=sheets["samples"])
    report = Report(
        name, tuple(net.name for net in nets), config.count, len(reference), 0 if training is None else len(training),
        config.truncation, config.seed, {}, sheets=sheets,
    )  # fmt: skip
    for net in nets:
        real = yield from tally.count(
            describe_cached(cache, net, reference.images, _labels(reference, model.class_count), config.batch)
        )
        drawn = yield from tally.count(describe(net, images, labels, config.batch))
        novel = None
        if training is not None:
            novel = yield from _novelty(net, images, training, config, cache, tally)
            if "nearest" not in sheets:
                sheets["nearest"] = nearest_sheet(images, training.images, novel)
        report = _with(report, net, reference.classes, real, drawn, novel, drawn.labels, config.seed)
    if critic is not None:
        report = yield from _criticised(report, critic, images, labels, reference, config.batch, tally)
    yield Progress(tally.total, tally.total, metrics=report.metrics, preview=sheets["samples"], result=report)


def real_floor(
    reference: ImageSet,
    training: ImageSet,
    config: EvaluationConfig | None = None,
    *,
    measure_novelty: bool = False,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
) -> Generator[Progress[Report], None, None]:
    """The figures a perfect generator would get: training images, with the reference's classes, in place of drawn ones.

    measure_novelty: describe all training images as well, and give the novelty of the reference images among them.
    """
    config = config or EvaluationConfig()
    _check_real(reference, "reference")
    chosen, labels, notes = _class_matched(reference, training, config)
    nets = [feature_net(spec, device) for spec in config.features]
    images = training.images[chosen]
    novelty_total = 2 * len(reference) + len(training) if measure_novelty else 0
    tally = Tally(len(nets) * (len(reference) + len(chosen) + novelty_total))
    report = Report(
        "real images", tuple(net.name for net in nets), len(chosen), len(reference),
        len(training) if measure_novelty else 0, 1.0, config.seed, {}, notes=notes,
        sheets={"samples": samples_sheet(images, labels, reference.classes)},
    )  # fmt: skip
    for net in nets:
        real = yield from tally.count(
            describe_cached(cache, net, reference.images, _labels(reference, 1), config.batch)
        )
        drawn = yield from tally.count(describe(net, images, labels, config.batch))
        novel = None
        if measure_novelty:
            novel = yield from _novelty(net, reference.images, training, config, cache, tally)
        report = _with(report, net, reference.classes, real, drawn, novel, real.labels, config.seed)
    yield Progress(tally.total, tally.total, metrics=report.metrics, preview=report.sheets["samples"], result=report)


def _with(
    report: Report, net: FeatureNet, classes: Sequence[str], real: Description, drawn: Description,
    novel: Novelty | None, novel_labels: Tensor, seed: int,
) -> Report:  # fmt: skip
    """The report with one network's findings added. novel_labels: (N,) classes of the images novelty speaks of."""
    novelties: dict[int, Novelty] = {}
    if novel is not None:
        novelties = {int(c): novel.of(novel_labels == c) for c in torch.unique(novel_labels)}
    rows: tuple[ClassRow, ...] = compare_classes(net, classes, real, drawn, novelties, seed)
    metrics = {**report.metrics, **compare(net, real, drawn, novel, seed), **class_metrics(net, rows)}
    return replace(report, metrics=metrics, classes=report.classes + rows)


def _criticised(
    report: Report, critic: Critic, images: Tensor, labels: Tensor, reference: ImageSet, batch: int, tally: Tally
) -> Generator[Progress[Report], None, Report]:
    """The report with what a critic says of the drawn pictures' classes, beside what it says of the real ones'."""
    drawn_as = yield from tally.count(called(critic, images, batch))
    real_as = yield from tally.count(called(critic, reference.images, batch))
    rows = consistency(critic, reference.classes, labels, drawn_as, reference.labels, real_as)
    notes = () if rows else (f"The critic {critic.name} knows none of the classes drawn.",)
    metrics = {**report.metrics, **consistency_metrics(critic, rows)}
    return replace(report, metrics=metrics, consistency=rows, notes=report.notes + notes)


def _novelty(
    net: FeatureNet, images: Tensor, training: ImageSet, config: EvaluationConfig, cache: Path | None, tally: Tally
) -> Generator[Progress[Report], None, Novelty]:  # fmt: skip
    """Novelty of the drawn pictures and of their mirror images, for training may have flipped what it copied."""
    known = yield from tally.count(likenesses_cached(cache, net, training.images, config.batch))
    straight = yield from tally.count(likenesses(net, images, config.batch))
    mirrored = yield from tally.count(likenesses(net, images.flip(3), config.batch))
    return novelty(straight, known, mirrored)


def _labels(images: ImageSet, class_count: int) -> Tensor:
    """The set's labels; none (−1) where the model has no classes."""
    return images.labels if class_count else torch.full_like(images.labels, -1)


def _total(nets: int, reference: int, count: int, training: ImageSet | None) -> int:
    return count + nets * (reference + count + (0 if training is None else 2 * count + len(training)))


def _check_real(images: ImageSet, what: str) -> None:
    if len(images) < MINIMUM:
        raise DataError(f"The {what} set has {len(images)} images; at least {MINIMUM} are needed to judge against.")


def _class_matched(
    reference: ImageSet, training: ImageSet, config: EvaluationConfig
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Training images with the reference's class proportions: their rows, their labels in the reference, notes."""
    generator = torch.Generator().manual_seed(config.seed)
    wanted = apportion(config.count, reference.labels)
    chosen, labels, notes = [], [], []
    for label, count in wanted.items():
        rows, name = torch.arange(len(training)), "any"
        if label >= 0:
            name = reference.classes[label]
            if name not in training.classes:
                raise DataError(f"The training set has no class {name!r}; it has: {', '.join(training.classes)}.")
            rows = (training.labels == training.classes.index(name)).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)[:count]]
        if len(rows) < count:
            notes.append(f"Only {len(rows)} training images stand in for {count} of class {name}.")
        chosen.append(rows)
        labels.append(torch.full((len(rows),), label))
    return torch.cat(chosen), torch.cat(labels), tuple(notes)
