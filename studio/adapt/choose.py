"""Which learner suits the task: candidates tried for a few steps on some of the pictures and judged by the others."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studio.adapt.distance import energy_distance
from studio.adapt.job import Autocast, seen, started
from studio.adapt.methods import Method
from studio.adapt.parts import Parts, each
from studio.adapt.student import Student
from studio.core.progress import Progress
from studio.models.gan import GanGenerator
from studio.models.learner import Learner

STEPS = 4  # of each candidate
SAMPLES = 32
JUDGED = 3  # of so many pictures one is kept back


@dataclass(frozen=True)
class Candidate:
    """A base with the learner that goes with it, and a method. name: of the base."""

    name: str
    base: GanGenerator
    learner: Learner
    method: Method


def choose(
    candidates: Sequence[Candidate],
    features: nn.Module,
    pictures: Tensor,
    seed: int,
    seconds: float,
    autocast: Autocast,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Progress[Candidate], None, None]:
    """The candidate whose samples come nearest to pictures that it was not shown, of those that the time allows.

    The distance is the energy distance (Székely & Rizzo 2013, eq. 1) of features in the first learner's units.
    pictures: (N,3,R,R) uint8; every third one is kept back. metrics: the distance of each candidate so far.
    """
    began, found = clock(), dict[str, float]()
    best, least = candidates[0], float("inf")
    kept_back = torch.arange(len(pictures)) % JUDGED == JUDGED - 1
    if len(candidates) > 1 and bool(kept_back.any()) and int((~kept_back).sum()) > 1:
        for candidate in candidates:
            if clock() - began > seconds:
                break
            distance = yield from _try(candidate, candidates[0].learner, features, pictures, kept_back, seed, autocast)
            found[f"{candidate.name}, {candidate.method.name}"] = distance
            if distance < least:
                best, least = candidate, distance
    yield Progress(len(candidates), len(candidates), found, result=best)


def _try(
    candidate: Candidate,
    unit: Learner,
    features: nn.Module,
    pictures: Tensor,
    kept_back: Tensor,
    seed: int,
    autocast: Autocast,
) -> Generator[Progress[Candidate], None, float]:
    random = torch.Generator().manual_seed(seed)
    shown, judged = pictures[~kept_back], pictures[kept_back]
    with autocast():
        base = started(candidate.base, candidate.method, seed)
        student = Student(base, candidate.learner, features, shown, candidate.method.student, random)
    limit = candidate.method.steps
    for step in range(STEPS if limit is None else min(STEPS, limit)):
        yield from each(student.stepping(), Progress(step, STEPS), autocast)
    return (yield from each(_distance(student, unit, judged, seed), Progress(STEPS, STEPS), autocast))


def _distance(student: Student, unit: Learner, judged: Tensor, seed: int) -> Parts[float]:
    """Of a student's samples to pictures (N,3,R,R) uint8."""
    z = torch.randn(SAMPLES, student.generator.latent_dim, generator=torch.Generator().manual_seed(seed + 1))
    real = judged.to(student.device).float().div(127.5).sub(1)
    with torch.no_grad():
        kept_back = unit.encoder.unit(student.discriminator.describe(real)).cpu()
    _, described = yield from seen(student, unit.encoder, z.to(student.device))
    return float(energy_distance(described, kept_back))
