"""Ranks, their correlation and spreads, worked by hand."""

import math
from pathlib import Path

import pytest

from studio.study.plan import Record, RunPlan
from studio.study.statistics import Spread, agreement, best_and_rivals, over_seeds, ranks, reliability, spearman


def record(setting: str, seed: int, kid: float, failed: str = "") -> Record:
    plan = RunPlan(f"{setting}-seed{seed}", setting, "dcgan", {}, {}, seed, 4, images=8, features="grey=weights.bin")
    return Record(plan, Path("nowhere"), 8, 1.0, 0.1, {"kid-grey": kid}, (), failed)


def test_ties_share_their_mean_rank() -> None:
    assert ranks([10.0, 30.0, 20.0]) == [1, 3, 2]
    assert ranks([5.0, 1.0, 5.0]) == [2.5, 1, 2.5]


def test_spearman_is_one_minus_six_sums_of_squares() -> None:
    # Rank differences 0, 1, 1, 0 of n = 4: 1 − 6·2 / (4·15) = 0.8.
    assert spearman([1, 2, 3, 4], [10, 30, 20, 40]) == pytest.approx(0.8)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(spearman([1, 1], [1, 2]))
    assert math.isnan(spearman([1], [2]))


def test_a_spread_over_three_seeds() -> None:
    spread = Spread((1.0, 2.0, 3.0))
    assert (spread.mean, spread.deviation) == (2.0, 1.0)
    assert spread.error == pytest.approx(1 / math.sqrt(3))
    assert spread.text(1) == "2.0 ± 1.0"
    assert Spread((0.5,)).text(2) == "0.50"
    assert Spread(()).text() == "–"


def test_figures_are_gathered_by_setting_without_what_broke_down() -> None:
    records = [record("a", 0, 0.1), record("b", 0, 0.2), record("a", 1, 0.3), record("b", 1, 0.0, "NaN")]
    assert over_seeds(records, "kid") == {"a": Spread((0.1, 0.3)), "b": Spread((0.2,))}


def test_seeds_agree_by_the_settings_that_they_share() -> None:
    kids = {0: (1.0, 2.0, 3.0), 1: (1.0, 3.0, 2.0), 2: (3.0, 2.0, 1.0)}
    records = [record(s, seed, kid) for seed, row in kids.items() for s, kid in zip("abc", row, strict=True)]
    assert agreement(records, "kid") == pytest.approx([0.5, -1.0, -0.5])


def test_means_over_seeds_are_as_reliable_as_spearman_and_brown_say() -> None:
    assert reliability(0.5, 1) == pytest.approx(0.5)
    assert reliability(0.5, 3) == pytest.approx(0.75)  # 3·0.5 / (1 + 2·0.5)
    assert reliability(-1.0, 2) == 0


def test_rivals_lie_within_two_standard_errors_of_the_difference() -> None:
    spreads = {"a": Spread((1.0, 1.2)), "near": Spread((1.2, 1.4)), "far": Spread((9.0, 9.2))}
    # Each mean has the standard error 0.1, a difference 0.1·√2: two of them are 0.28, and 0.2 < 0.28 < 8.
    assert best_and_rivals(spreads) == ("a", ["near"])
    assert best_and_rivals({"a": Spread((1.0,)), "b": Spread((9.0,))}) == ("a", ["b"]), "one seed tells nothing"
    assert best_and_rivals({"a": Spread(())}) == ("", [])
