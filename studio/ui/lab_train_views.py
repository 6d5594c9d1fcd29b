"""Runs as HTML: a line with its buttons for each, and the one at work with its grid, its losses and its time."""

from collections.abc import Sequence
from datetime import timedelta
from html import escape

from PIL import Image

from studio.training.runs import DONE, FAILED, PAUSE, QUEUED, READING, STOP, RunState
from studio.ui.lab_views import curves
from studio.ui.pictures import data_uri
from studio.ui.style_views import reduced

GRID = 768  # px, long side of the grid of samples as it is shown


def missing_words(package: str) -> str:
    """What to do where the packages of training are not there."""
    return f"Training needs the package {package!r}; install it with: python -m pip install 'atelier-studio[train]'."


def missing(package: str) -> str:
    """The same on the page."""
    return f'<p class="quiet">{escape(missing_words(package))}</p>'


def stage(state: RunState, at_work: bool, place: int) -> str:
    """What a run is doing, in words. place: runs before it in the queue."""
    if state.stage == DONE:
        return "in the library"
    if state.stage == FAILED and state.ended:
        return f"stopped: {state.error}"
    if state.wish == PAUSE:
        return "paused" if not (at_work and state.stage not in ("paused", QUEUED)) else "saving, then paused"
    if state.wish == STOP:
        return "saving, then into the library"
    if place > 0:
        return f"waits for {place} before it"
    if not at_work:
        return "beginning" if state.stage == QUEUED else "beginning again from its last save"
    return "reading the pictures" if state.stage in (READING, QUEUED) else "training"


def rows(all_states: Sequence[RunState], at_work: bool) -> str:
    """A line for each run, the newest first."""
    if not all_states:
        return '<p class="quiet">No run yet.</p>'
    waiting = [state.key for state in all_states if state.waits]
    lines = [
        _row(state, stage(state, at_work, waiting.index(state.key) if state.key in waiting else 0))
        for state in reversed(all_states)
    ]
    return f'<ul class="runs" aria-label="Runs">{"".join(lines)}</ul>'


def _row(state: RunState, words: str) -> str:
    acts: list[tuple[str, str]] = []
    if not state.ended and state.wish != STOP:
        acts.append(("resume", "Resume") if state.wish == PAUSE else ("pause", "Pause"))
        acts.append(("keep", "Cancel" if state.stage == QUEUED else "Stop and keep"))
    elif state.ended:
        acts += [("resume", "Try again")] if state.stage == FAILED else []
        acts.append(("forget", "Clear away"))
    name = escape(state.order.name)
    buttons = "".join(
        f'<button type="button" data-act="{act}" data-key="{state.key}" aria-label="{label} {name}">{label}</button>'
        for act, label in acts
    )
    return (
        f"<li><div><b>{name}</b> <span>{escape(state.order.recipe)}, {escape(words)}</span></div>"
        f'<div class="acts">{buttons}</div></li>'
    )


def live(state: RunState, grid: Image.Image | None) -> str:
    """A run's time, pictures, notes, losses and the grid of the same seeds."""
    spent, left = (str(timedelta(seconds=round(value))) for value in (state.seconds, state.left))
    share = min(state.seconds / state.order.seconds, 1.0)
    facts = f"{state.images} pictures seen, {spent} trained" + ("" if state.ended else f", {left} left")
    notes = "".join(f"<li>{escape(note)}</li>" for note in state.notes)
    picture = (
        f'<img src="{data_uri(reduced(grid, GRID))}" alt="Samples of {escape(state.order.name)}, the same seeds after '
        f'about {state.images} pictures" draggable="false">'
        if grid is not None
        else '<p class="quiet">The first samples come after a minute or so.</p>'
    )
    return (
        f'<figure class="run-live"><figcaption><b>{escape(state.order.name)}</b><span>{facts}</span>'
        f'<progress max="1" value="{share:.3f}" aria-label="Time trained of {escape(state.order.name)}"></progress>'
        f'</figcaption><div class="sides"><div>{picture}</div>{curves(state.curves())}</div>'
        + (f'<ul class="run-notes">{notes}</ul>' if notes else "")
        + "</figure>"
    )
