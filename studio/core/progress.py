"""The one form of every long job: a generator of ``Progress`` whose last item carries the result."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from studio.core.errors import StudioError

T = TypeVar("T")


@dataclass(frozen=True)
class Progress(Generic[T]):
    """One step of a job.

    step: steps done, from 0. total: steps in all, or None where it is not known. metrics: name → value.
    preview: something to show (the job says what). result: the job's result, on the last item only.
    note: one sentence for people, where there is something to say.
    """

    step: int
    total: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    preview: Any = None
    result: T | None = None
    note: str = ""

    @property
    def fraction(self) -> float | None:
        """Share done in [0, 1], or None where the total is not known."""
        return None if not self.total else min(self.step / self.total, 1.0)


def result_of(job: Iterable[Progress[T]]) -> T:
    """Run a job to its end and return its result."""
    last: Progress[T] | None = None
    for progress in job:
        last = progress
    if last is None or last.result is None:
        raise StudioError("The job ended without a result.")
    return last.result
