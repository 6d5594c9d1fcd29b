"""Judging a classifier on labelled pictures: its confusion matrix, as figures, a table of its card, and a sheet."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import DataError
from studio.core.progress import Progress
from studio.evaluation.confusion import accuracies, confusion_sheet, recalls
from studio.evaluation.critic import Critic, confusion_on

BATCH = 16


@dataclass(frozen=True)
class AccuracyReport:
    """One evaluation of a classifier. matrix: (K,K), row: what the pictures are, column: what they are called."""

    name: str
    classes: tuple[str, ...]
    matrix: Tensor

    @property
    def metrics(self) -> dict[str, float]:
        """accuracy and balanced_accuracy."""
        return accuracies(self.matrix)

    @property
    def sheet(self) -> Image.Image:
        """The confusion matrix, in per cent of each row."""
        return confusion_sheet(self.matrix, self.classes)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; classes without pictures have no accuracy."""
        shares = zip(self.classes, recalls(self.matrix).tolist(), self.matrix.sum(dim=1).tolist(), strict=True)
        by_class = {name: share for name, share, count in shares if count}
        record = {"name": self.name, "count": int(self.matrix.sum()), "classes": list(self.classes)}
        return record | {"metrics": self.metrics, "by_class": by_class, "confusion": self.matrix.tolist()}

    def section(self) -> str:
        """Markdown: the figures, and a row a class with what it is most often taken for."""
        figures = self.metrics
        lines = [
            f"{int(self.matrix.sum())} held-out pictures at 128 px: balanced accuracy "
            f"{figures['balanced_accuracy']:.3f} (mean of the classes' own), accuracy {figures['accuracy']:.3f}.",
            "",
            "| class | pictures | called so | most often taken for |",
            "| --- | ---: | ---: | --- |",
        ]
        for row, (name, own) in enumerate(zip(self.classes, recalls(self.matrix).tolist(), strict=True)):
            count = int(self.matrix[row].sum())
            others = self.matrix[row].clone()
            others[row] = 0
            most = int(others.argmax())
            taken = f"{self.classes[most]} ({int(others[most])})" if int(others[most]) else "–"
            lines.append(f"| {name} | {count} | {f'{own:.2f}' if count else '–'} | {taken} |")
        return "\n".join(lines)


def measure_accuracy(critic: Critic, reference: ImageSet) -> Generator[Progress[AccuracyReport], None, None]:
    """Judge a classifier by labelled pictures; the last item carries the report. Raises DataError."""
    unknown = [name for name in reference.classes if name not in critic.classes]
    if unknown or bool((reference.labels < 0).any()) or not len(reference):
        what = f"of class {unknown[0]!r}" if unknown else "without a class"
        raise DataError(
            f"There are pictures {what}, which this classifier cannot be judged by; choose among its classes by "
            f"--classes: {','.join(critic.classes)}."
        )
    places = torch.tensor([critic.classes.index(name) for name in reference.classes])
    job, step = confusion_on(critic, reference.images, places[reference.labels], BATCH), 0
    while True:
        try:
            step += next(job)
        except StopIteration as stop:
            report = AccuracyReport(critic.name, critic.classes, stop.value)
            yield Progress(step, len(reference), metrics=report.metrics, preview=report.sheet, result=report)
            return
        if step < len(reference):
            yield Progress(step, len(reference))
