"""Small statistics of a study: means with their spread, and how far the seeds agree on the ranking."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.study.plan import Record


@dataclass(frozen=True)
class Spread:
    """Mean and sample deviation of a figure over seeds; not a number where there are none."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.deviation / math.sqrt(len(self.values)) if len(self.values) > 1 else math.nan

    def text(self, decimals: int = 4) -> str:
        """As a table shows it: mean ± deviation."""
        if not self.values:
            return "–"
        spread = "" if math.isnan(self.deviation) else f" ± {self.deviation:.{decimals}f}"
        return f"{self.mean:.{decimals}f}{spread}"


def over_seeds(records: Sequence[Record], metric: str) -> dict[str, Spread]:
    """For each setting, in the order of the records, its metric over the seeds at which it was measured."""
    found: dict[str, list[float]] = {}
    for record in records:
        own = found.setdefault(record.plan.setting, [])
        value = record.step_seconds if metric == "step" else record.metric(metric)
        if not record.failed and math.isfinite(value):
            own.append(value)
    return {setting: Spread(tuple(values)) for setting, values in found.items()}


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, ties sharing their mean rank."""
    order = sorted(values)
    return [order.index(value) + (order.count(value) + 1) / 2 for value in values]


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation: Pearson's of the ranks. Not a number where either has no spread."""
    if len(first) < 2 or len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return statistics.correlation(ranks(first), ranks(second))


def agreement(records: Sequence[Record], metric: str) -> list[float]:
    """Rank correlations of the settings' figures between each two seeds, over the settings that both have."""
    by_seed: dict[int, dict[str, float]] = {}
    for record in records:
        if not record.failed and math.isfinite(record.metric(metric)):
            by_seed.setdefault(record.plan.seed, {})[record.plan.setting] = record.metric(metric)
    found = []
    for one, other in itertools.combinations(by_seed.values(), 2):
        shared = [setting for setting in one if setting in other]
        value = spearman([one[setting] for setting in shared], [other[setting] for setting in shared])
        if math.isfinite(value):
            found.append(value)
    return found


def reliability(correlation: float, count: int) -> float:
    """How well means over `count` seeds would agree with those over as many others, by the correlation of single ones
    (Spearman 1910; Brown 1910); 0 where single ones do not agree."""
    agreed = max(correlation, 0.0)
    return count * agreed / (1 + (count - 1) * agreed)


def best_and_rivals(spreads: Mapping[str, Spread]) -> tuple[str, list[str]]:
    """The setting with the least mean, and those that the figures do not tell from it.

    A setting is told from the best where their means lie more than two standard errors of the difference apart; with
    one seed nothing is.
    """
    measured = {setting: spread for setting, spread in spreads.items() if spread.values}
    if not measured:
        return "", []
    best = min(measured, key=lambda setting: measured[setting].mean)
    rivals = []
    for setting, spread in measured.items():
        margin = 2 * math.hypot(spread.error, measured[best].error)
        if setting != best and not spread.mean - measured[best].mean > margin:
            rivals.append(setting)
    return best, sorted(rivals, key=lambda setting: measured[setting].mean)
