"""docs/ADAPTATION.md: what the runs of the proof say, in tables, plots and pictures."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.adaptation_run import ARMS, Setting, student_of
from bench.adaptation_sheets import sheets
from bench.table import machine
from studio.core.words import amount

RESAMPLES = 10_000
NOTES = ("<!-- notes: what stands between these two lines is kept -->", "<!-- end of notes -->")
SECONDS = 30  # points of the plot over seconds
TICKS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the plots' distance; beyond the last one a curve leaves the frame

Record = dict[str, Any]
Values = dict[tuple[str, int, int], float]  # by artist, draw and seed


def write(records: list[Record], setting: Setting, docs: Path, planned: int) -> str:
    """Write the page, its plots and its pictures; → a sentence."""
    if not records:
        return "None of the plan's runs is there yet."
    docs.mkdir(parents=True, exist_ok=True)
    metric = next(name for name in records[0]["points"][0] if name.startswith("kid-"))
    shots = sorted({record["shots"] for record in records})
    arms = [name for name in ARMS if any(record["arm"] == name for record in records)]
    parts = [_head(records, setting, planned, arms), _kept(docs / "ADAPTATION.md")]
    for count in shots:
        own = [record for record in records if record["shots"] == count]
        parts += [
            f"## {count} pictures",
            _table(own, arms, metric, setting.at),
            _steps_table(own, arms, metric, setting.at),
        ]
    drawn = [
        f"![{metric} over that of the base as it is, over {over}](adaptation-{over}.png)"
        for over in ("steps", "seconds")
        if _plot(records, arms, shots, metric, setting.at, over, docs / f"adaptation-{over}.png")
    ]
    if drawn:
        parts += [*drawn, f"Bands are 95 % of the bootstrap; beyond {TICKS[-1]:g} a curve leaves the frame."]
    parts.append(sheets(records, arms, setting, docs))
    (docs / "ADAPTATION.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return f"Wrote {docs / 'ADAPTATION.md'} of {len(records)} of {planned} runs."


def _head(records: list[Record], setting: Setting, planned: int, arms: list[str]) -> str:
    count = {name: len({record[name] for record in records}) for name in ("artist", "draw", "seed")}
    shots = ", ".join(str(size) for size in sorted({record["shots"] for record in records}))
    queries = sorted(record["query"] for record in records)
    end = f"{setting.budget:g} s" if setting.most is None else f"{setting.most} steps"
    if not setting.step_seconds:
        clock = f"process time over {setting.cores} cores"
    else:
        each = ", ".join(f"{arm + ' ' * bool(arm)}{value:g} s" for arm, value in sorted(setting.step_seconds.items()))
        clock = f"{each} a step on {setting.cores} cores, and the start's process time over the cores"
    lines = [
        "# Few-shot adaptation, measured",
        f"{len(records)} runs of {planned} planned: {count['artist']} artists whom nothing was trained on, supports of "
        f"{shots} pictures, {amount(count['draw'], 'draw')} of the support, {amount(count['seed'], 'seed')}. Judged by "
        f"{setting.features.partition('=')[0]} on {setting.samples} samples of the same noise for every arm and step, "
        f"against {queries[0]} to {queries[-1]} other pictures of the artist (median {queries[len(queries) // 2]}). "
        f"The end is after {end}; seconds are {clock}. {_machines(records)}",
        "Ratios are of means over the artists, in brackets 95 % of a paired bootstrap over them "
        f"({RESAMPLES} resamples); an artist counts once, by the mean of all draws and seeds. kid is the unbiased "
        "kernel distance, lower is better. A ratio is of the runs that both have; a curve is of those that were judged "
        "most often. Copies: samples nearer to a picture of the support than that is to any "
        "other work of the artist; novelty: the median of that ratio.",
        "| arm | what it is | learning rate | base |\n| --- | --- | ---: | --- |",
    ]
    for name in arms:
        config = student_of(name, setting.rates)
        rate = "" if config is None or name == "embed" else f"{config.learning_rate:g}"
        base = next(record["base"] for record in records if record["arm"] == name)
        lines[-1] += f"\n| {name} | {ARMS[name].summary} | {rate} | `{base[:12]}` |"
    return "\n\n".join(lines)


def _machines(records: list[Record]) -> str:
    """This machine, and how many runs were made on other devices than a CPU."""
    elsewhere = Counter(record.get("device", "cpu") for record in records)
    del elsewhere["cpu"]
    others = (f" {amount(count, 'run')} of these by {device}." for device, count in sorted(elsewhere.items()))
    return f"{machine()}.{''.join(others)}"


def _kept(page: Path) -> str:
    """What people have written into the page."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = re.search(re.escape(NOTES[0]) + "(.*?)" + re.escape(NOTES[1]), text, re.DOTALL)
    return f"{NOTES[0]}{found[1] if found else chr(10)}{NOTES[1]}"


def at_end(record: Record) -> Record | None:
    """The point where its time is over; none in a run that was broken off before."""
    point: Record | None = None if record["end"] is None else record["points"][record["end"]]
    return point


def at_step(record: Record, step: int) -> Record | None:
    """The point after so many steps; an arm that takes none stays where it is."""
    if record["end"] == 0:
        return at_end(record)
    return next((point for point in record["points"] if point["step"] == step), None)


def at_second(record: Record, second: float) -> Record | None:
    """The last point of which the samples were there by then, or the first where it was judged before any step; none
    once a run has been broken off."""
    points = [point for point in record["points"] if point["seconds"] <= second]
    if not points:
        return record["points"][0] if record["points"][0]["step"] == 0 else None
    return None if record["end"] is None and len(points) == len(record["points"]) else points[-1]


def values_of(found: Sequence[tuple[Record, Record | None]], metric: str) -> Values:
    """A metric by run, where the run has the point."""
    return {
        (record["artist"], record["draw"], record["seed"]): float(point[metric])
        for record, point in found
        if point is not None
    }


def ratio(a: Values, b: Values) -> tuple[float, float, float] | None:
    """Mean of a over mean of b, on the runs that both have, an artist being the mean of hers, and 95 % of its paired
    bootstrap over the artists."""
    both = a.keys() & b.keys()
    if not both:
        return None
    top, bottom = (np.array(list(_by_artist({run: values[run] for run in both}).values())) for values in (a, b))
    rows = np.random.default_rng(0).integers(len(top), size=(RESAMPLES, len(top)))
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = top[rows].mean(axis=1) / bottom[rows].mean(axis=1)
        middle = float(top.mean() / bottom.mean())
    low, high = np.nanpercentile(drawn, [2.5, 97.5]) if len(top) > 1 else (math.nan, math.nan)
    return middle, float(low), float(high)


def _by_artist(values: Values) -> dict[str, float]:
    """The mean of an artist's draws and seeds, by name in the alphabet's order."""
    runs = defaultdict[str, list[float]](list)
    for (artist, _, _), value in sorted(values.items()):
        runs[artist].append(value)
    return {artist: float(np.mean(each)) for artist, each in runs.items()}


def _ratio(a: Values, b: Values) -> str:
    found = ratio(a, b)
    if found is None:
        return ""
    middle, low, high = found
    return f"{middle:.2f}" if math.isnan(low) else f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def _of(records: list[Record], arm: str) -> list[Record]:
    return [record for record in records if record["arm"] == arm]


def _mean(values: Values) -> float:
    return float(np.mean(list(_by_artist(values).values()))) if values else math.nan


def most_judged(records: list[Record], steps: tuple[int, ...]) -> tuple[list[Record], list[int]]:
    """Of an arm's runs those that were judged at the most of these steps, as many steps as there are runs of every
    artist for; and the steps at which all of them were."""
    judged = [(record, {step for step in steps if at_step(record, step) is not None}) for record in records]
    everyone = {record["artist"] for record in records}
    for most in sorted({len(at) for _, at in judged}, reverse=True):
        found = [(record, at) for record, at in judged if len(at) >= most]
        if {record["artist"] for record, _ in found} == everyone:
            return [record for record, _ in found], sorted(set[int](steps).intersection(*(at for _, at in found)))
    return [], []


def best_step(records: list[Record], metric: str, steps: tuple[int, ...]) -> int | None:
    """The step with the lowest mean, by those of an arm's runs that were judged at the most of these steps."""
    found, common = most_judged(records, steps)
    means = {step: _mean(values_of([(record, at_step(record, step)) for record in found], metric)) for step in common}
    return min(means, key=means.__getitem__, default=None)


def _table(records: list[Record], arms: list[str], metric: str, at: tuple[int, ...]) -> str:
    """Every arm at the end of its time. at: the steps among which fine-tuning's best is looked for."""
    ends = {
        arm: [(record, point) for record in _of(records, arm) if (point := at_end(record)) is not None] for arm in arms
    }
    value = {arm: {m: values_of(found, m) for m in (metric, *MEASURES)} for arm, found in ends.items()}
    tuned = _of(records, "finetune")
    best = best_step(tuned, metric, at)
    at_best = {} if best is None else values_of([(record, at_step(record, best)) for record in tuned], metric)
    head = f"| arm | steps | {metric} | over none | over finetune | over finetune at its best"
    head += f"{'' if best is None else f', {best} steps'} | diversity over finetune "
    head += "| precision | recall | novelty | copies | stopped |"
    lines = [head, "|" + " --- |" * 12]
    for arm in arms:
        own = value[arm]
        if not own[metric]:
            continue
        steps = sorted(point["step"] for _, point in ends[arm])
        stopped = [bool(point.get("verdict")) for _, point in ends[arm]]
        against = [
            _ratio(own[metric], value[other][metric]) if other in value else "" for other in ("none", "finetune")
        ]
        diversity = _ratio(own["diversity"], value["finetune"]["diversity"]) if "finetune" in value else ""
        lines.append(
            f"| {arm} | {steps[len(steps) // 2]} | {_mean(own[metric]):.4f} | {against[0]} | {against[1]} "
            f"| {_ratio(own[metric], at_best)} | {diversity} "
            f"| {_mean(own['precision']):.2f} | {_mean(own['recall']):.2f} | {_mean(own['novelty']):.2f} "
            f"| {100 * _mean(own['copies']):.1f} % | {100 * float(np.mean(stopped)):.0f} % |"
        )
    artists = len({record["artist"] for record in records})
    note = f"{artists} artists, {len(records)} runs. Stopped: where the studio's own watch would have ended it by then."
    return "\n".join(lines) + f"\n\n{note}"


MEASURES = ("precision", "recall", "diversity", "novelty", "copies")


def _steps_table(records: list[Record], arms: list[str], metric: str, steps: tuple[int, ...]) -> str:
    """The distance after so many steps, over that of plain fine-tuning, or of the base where that was not run. A cell
    of fewer artists than others of its row is left empty, for it cannot be read beside them."""
    other = "finetune" if "finetune" in arms else "none"
    if other not in arms:
        return ""
    lines = [
        f"| {metric} over {other}, steps | " + " | ".join(map(str, steps)) + " |",
        "|" + " ---: |" * (len(steps) + 1),
    ]
    for arm in arms:
        pairs = [
            tuple(
                values_of([(record, at_step(record, step)) for record in _of(records, name)], metric)
                for name in (arm, other)
            )
            for step in steps
        ]
        counts = [len({artist for artist, _, _ in own.keys() & theirs.keys()}) for own, theirs in pairs]
        cells = [
            _ratio(own, theirs) if count == max(counts) else ""
            for (own, theirs), count in zip(pairs, counts, strict=True)
        ]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _plot(
    records: list[Record],
    arms: list[str],
    shots: list[int],
    metric: str,
    steps: tuple[int, ...],
    over: str,
    path: Path,
) -> bool:
    """Curves with their 95 % bands, a panel for each size of the support. over: "steps" or "seconds".

    A curve is of the runs that were judged most often, so that all of its points are of the same ones.
    """
    if "none" not in arms:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullLocator

    figure, panels = plt.subplots(1, len(shots), figsize=(4.6 * len(shots), 3.8), sharey=True, squeeze=False)
    for panel, count in zip(panels[0], shots, strict=True):
        own = [record for record in records if record["shots"] == count]
        last = max(point["seconds"] for record in own for point in record["points"])
        grid = [last * k / SECONDS for k in range(1, SECONDS + 1)] if over == "seconds" else list(steps)
        for number, arm in enumerate(arms):
            ours, xs, rows = most_judged(_of(own, arm), steps)[0], [], []
            for x in grid:
                found = [ratio(*(values_of(_points(each, x, over), metric) for each in (ours, _of(own, "none"))))]
                if found[0] is not None:
                    xs.append(x)
                    rows.append(found[0])
            if rows:
                colour, marker = f"C{number}", "." if over == "steps" else None
                panel.plot(xs, [row[0] for row in rows], label=arm, marker=marker, color=colour)
                panel.fill_between(xs, [r[1] for r in rows], [r[2] for r in rows], alpha=0.12, color=colour)
        panel.set_title(f"{count} pictures")
        panel.set_xlabel(over)
        if over == "steps":
            panel.set_xscale("symlog", linthresh=2)
    panels[0][0].set(yscale="log", ylabel=f"{metric}, base as it is = 1")
    panels[0][0].set_ylim(min(TICKS[0], panels[0][0].get_ylim()[0]), TICKS[-1])
    panels[0][0].set_yticks(TICKS, [f"{tick:g}" for tick in TICKS], minor=False)
    panels[0][0].yaxis.set_minor_locator(NullLocator())
    named = {name: line for panel in panels[0] for line, name in zip(*panel.get_legend_handles_labels(), strict=True)}
    shown = [arm for arm in arms if arm in named]
    figure.legend([named[arm] for arm in shown], shown, fontsize=8, ncol=len(shown), loc="lower center", frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return True


def _points(records: list[Record], x: float, over: str) -> list[tuple[Record, Record | None]]:
    if over == "steps":
        return [(record, at_step(record, int(x))) for record in records]
    return [(record, at_second(record, x)) for record in records]
