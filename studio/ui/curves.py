"""Curves as small drawings, with their last values in a legend and in words."""

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 300, 90


def curves(lines: Mapping[str, Sequence[float]], names: Mapping[str, str], what: str, together: bool = False) -> str:
    """The lines that have names, from 0 or below. what: what they are. together: on one scale and not each on its own.

    Nothing where none has two values.
    """
    drawn = [(name, values) for name in names if len(values := lines.get(name, ())) > 1]
    if not drawn:
        return ""
    every = [value for _, values in drawn for value in values]
    paths = "".join(
        f'<polyline class="{name}" points="{_points(values, every if together else values)}"/>'
        for name, values in drawn
    )
    keys = "".join(f'<li class="{name}">{names[name]} {values[-1]:.3g}</li>' for name, values in drawn)
    words = ", ".join(f"{names[name].lower()} from {values[0]:.3g} to {values[-1]:.3g}" for name, values in drawn)
    return (
        f'<figure class="curves"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{what}: {words}">{paths}</svg><ul>{keys}</ul></figure>'
    )


def _points(values: Sequence[float], scale: Sequence[float]) -> str:
    low, high = min(0.0, *scale), max(0.0, *scale)
    span = high - low or 1.0
    step = WIDTH / (len(values) - 1)
    return " ".join(
        f"{index * step:.1f},{HEIGHT - 2 - (HEIGHT - 4) * (value - low) / span:.1f}"
        for index, value in enumerate(values)
    )
