"""Plots of a study as SVG without a background, in inks that can be read on white and on black."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.core.errors import MissingPackage
from studio.core.files import atomic_write
from studio.study.statistics import Spread

INK = "#7d8590"  # 3.9:1 on white, 4.8:1 on near-black
COLOURS = ("#3b82c4", "#d9822b", "#2f9e6e", "#c2528b", "#8a6fd1", "#b8942c", "#4aa3b8", "#c75450")
Points = Sequence[tuple[float, float]]
STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "atelier",  # the same plot is the same file
}


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Any]:
    """A figure of so many inches; written when the block ends."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingPackage("The report's plots need matplotlib; install atelier-studio[train].") from None
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn
        with atomic_write(path) as temporary:
            drawn.savefig(temporary, format="svg", transparent=True, metadata={"Date": None})


def dots(path: Path, panels: Mapping[str, Mapping[str, Spread]]) -> Path:
    """A panel a figure: a row a setting, a faint dot a seed, and the mean as a bar across the row."""
    rows = max(len(panel) for panel in panels.values())
    with figure(path, 3.4 * len(panels) + 1.2, 0.24 * rows + 0.9) as drawn:
        axes = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for place, (axis, (title, panel)) in enumerate(zip(axes, panels.items(), strict=True)):
            colour = COLOURS[place % len(COLOURS)]
            for row, spread in enumerate(panel.values()):
                axis.plot(spread.values, [row] * len(spread.values), "o", color=colour, alpha=0.55, markersize=4)
                if spread.values:
                    axis.plot([spread.mean] * 2, [row - 0.32, row + 0.32], color=colour, linewidth=2)
            axis.set_title(title)
            axis.grid(axis="x")
        axes[0].set_yticks(range(rows), list(next(iter(panels.values()))))
        axes[0].invert_yaxis()
    return path


def curves(path: Path, panels: Mapping[str, Mapping[str, Points]], across: str, up: str, log: bool = True) -> Path:
    """Small multiples on shared axes: a panel a setting, a line a layer."""
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    with figure(path, 2.3 * columns + 0.6, 1.7 * lines + 0.7) as drawn:
        axes = drawn.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (title, series) in zip(axes.flat, panels.items(), strict=False):
            for place, (name, points) in enumerate(series.items()):
                colour = COLOURS[place % len(COLOURS)]
                axis.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=1.4, label=name)
            axis.set_title(title)
            axis.grid()
            if log:
                axis.set_yscale("log")
        drawn.supxlabel(across, color=INK)
        drawn.supylabel(up, color=INK)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=max(len(labels), 1))
    return path
