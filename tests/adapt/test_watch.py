"""Copying and collapse, by points on a circle whose distances are known."""

import math

import pytest
import torch
from torch import Tensor

from studio.adapt.watch import DEEP, Watch


def at(*degrees: float) -> Tensor:
    """Features whose deep part points there; two points lie 2 sin(half the angle) apart."""
    rows = torch.zeros(len(degrees), DEEP + 2)
    rows[:, :DEEP] = torch.rand(len(degrees), DEEP, generator=torch.Generator().manual_seed(0))  # how, not what
    for row, angle in zip(rows, degrees, strict=True):
        row[DEEP], row[DEEP + 1] = 3 * math.cos(math.radians(angle)), 3 * math.sin(math.radians(angle))
    return rows


def chord(degrees: float) -> float:
    return 2 * math.sin(math.radians(degrees) / 2)


def test_novelty_is_the_distance_to_the_nearest_picture_over_its_own_to_the_next() -> None:
    # Pictures at 0°, 60° and 180°: the first two have each other, the third is 120° from the second.
    watch = Watch(at(0, 60, 180), at(0, 90))
    seen = watch.look(at(-30, -60, 240))
    # 30° from the first: chord 30 / chord 60; 60° from it: 1; 60° from the third: chord 60 / chord 120.
    ratios = sorted([chord(30) / chord(60), 1.0, chord(60) / chord(120)])
    assert seen.novelty == pytest.approx(ratios[1], abs=1e-5)
    assert seen.nearest == (0, 0, 2)
    assert seen.copies == pytest.approx(2 / 3)  # both under 0.8


def test_too_many_copies_name_the_picture_that_is_copied_most() -> None:
    watch = Watch(at(0, 60, 180), at(0, 90))
    seen = watch.look(at(1, 59, 58, 61, -90))
    assert (seen.copies, seen.copied) == (pytest.approx(0.8), 1)
    assert seen.verdict == "Stopped: the samples began to copy picture 2."


def test_samples_far_from_every_picture_raise_nothing() -> None:
    seen = Watch(at(0, 10), at(90, 270)).look(at(90, 270))
    assert (seen.copies, seen.copied, seen.verdict) == (0.0, None, "")
    assert seen.diversity == pytest.approx(1.0)


def test_samples_that_look_alike_stop_it() -> None:
    watch = Watch(at(0, 10), at(90, 270))  # the first samples lie a diameter apart
    seen = watch.look(at(90, 150))  # now the radius
    assert seen.diversity == pytest.approx(0.5, abs=1e-5)
    assert seen.verdict == "Stopped: the samples began to look alike."


def test_a_double_is_measured_by_the_usual_distance() -> None:
    watch = Watch(at(0, 0, 100, 160), at(0, 90))
    assert watch.own.tolist() == pytest.approx([chord(60)] * 4, abs=1e-4)


def test_a_single_picture_is_measured_by_the_first_samples() -> None:
    watch = Watch(at(0), at(40, 90, 120))
    assert watch.own.tolist() == pytest.approx([chord(90)], abs=1e-5)
