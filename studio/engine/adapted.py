"""What adaptation gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor

from studio.adapt.job import Adapted, Snapshot
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.engine.adapt_requests import AdaptRequest
from studio.models.gan import GanGenerator


@dataclass(frozen=True)
class Verdict:
    """What is to be said of an offered picture. reference: its name. text: why it is left out or what to know of it,
    "" where there is nothing. used: whether it is learned from."""

    reference: str
    text: str
    used: bool


@dataclass(frozen=True)
class Stage:
    """A point of an adaptation to go back to. pictures: of the fixed seeds. novelty: median distance to the nearest
    uploaded picture, over that picture's own to its nearest neighbour. diversity: over that of the start."""

    step: int
    seconds: float
    pictures: tuple[Image.Image, ...]
    novelty: float
    copies: float
    diversity: float
    nearest: tuple[int, ...]


@dataclass(frozen=True)
class Adaptation:
    """A generator under adaptation. request: with base and method as they were chosen. verdicts: of every picture that
    was offered. stages: the first one before any step. best: the one to keep. stopped: why it ended before its time, or
    "". reference: of the adapter of the best stage, "" while the job runs; see Engine.pick for the others.
    """

    request: AdaptRequest
    verdicts: tuple[Verdict, ...]
    before: tuple[Image.Image, ...]
    stages: tuple[Stage, ...]
    best: int
    stopped: str
    at: tuple[int, ...]
    curves: Mapping[str, tuple[float, ...]]
    reference: str = ""
    work: "Work | None" = field(default=None, repr=False, compare=False)

    @property
    def steps(self) -> int:
        """Steps really done."""
        return self.stages[-1].step

    @property
    def learned_from(self) -> tuple[str, ...]:
        """References of the pictures that are learned from, in the order that a stage's nearest counts them."""
        return tuple(verdict.reference for verdict in self.verdicts if verdict.used)

    def summary(self) -> dict[str, Any]:
        """What has come of it as plain JSON values, without pictures."""
        measured = ("step", "seconds", "novelty", "copies", "diversity")
        return {
            "name": self.request.name,
            "base": self.request.base,
            "method": self.request.method,
            "steps": self.steps,
            "stopped": self.stopped,
            "pictures": len(self.learned_from),
            "kept": self.best,
            "stages": [{name: round(getattr(stage, name), 4) for name in measured} for stage in self.stages],
        }

    def sheet(self, stage: int | None = None) -> Image.Image:
        """Before above after, the same seeds."""
        after = self.stages[self.best if stage is None else stage].pictures
        return tile([*self.before, *after], len(self.before), row_labels=("before", "after"))


@dataclass(frozen=True)
class Work:
    """What a stage's adapter is made from. base: as it was read; small: (N,3,s,s) copies of the pictures in [-1,1]."""

    base: GanGenerator
    base_name: str
    base_sha256: str
    adapted: Adapted
    small: Tensor | None


def stage(snapshot: Snapshot) -> Stage:
    """A snapshot as people see it."""
    watched = snapshot.watched
    return Stage(
        step=snapshot.step,
        seconds=snapshot.seconds,
        pictures=images(snapshot.pictures),
        novelty=watched.novelty,
        copies=watched.copies,
        diversity=watched.diversity,
        nearest=watched.nearest,
    )


def images(pictures: Tensor) -> tuple[Image.Image, ...]:
    """(N,3,R,R) uint8 → pictures."""
    return tuple(to_image(picture.float().div(127.5).sub(1)) for picture in pictures)
