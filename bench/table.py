"""Rows of BENCHMARKS.md: a figure, the bar it is held to, and how near it comes."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One figure. bar: the bound it is held to, or None. at_least: whether the bar is a lower bound."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """value / bar: at least 1 meets a lower bound, at most 1 an upper bound."""
        return None if self.bar is None else self.value / self.bar

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        return None if self.ratio is None else (self.ratio >= 1) == self.at_least or self.ratio == 1


def markdown(rows: Iterable[Row]) -> str:
    """A Markdown table of the rows."""
    lines = ["| figure | measured | bar | measured / bar | |", "| --- | ---: | ---: | ---: | --- |"]
    for row in rows:
        bar = "" if row.bar is None else f"{'≥' if row.at_least else '≤'} {row.bar:g} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}{'' if row.met else ' (not met)'}"
        lines.append(f"| {row.what} | {row.value:.3g} {row.unit} | {bar} | {ratio} | {row.note} |")
    return "\n".join(lines)


def record(row: Row) -> str:
    """A row as one JSON line."""
    return json.dumps({**asdict(row), "ratio": row.ratio, "met": row.met}, ensure_ascii=False, allow_nan=False)


def machine() -> str:
    """The machine in words: processor, cores available, system, Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"
