"""The Style tab's practice: the codes of the artist's own style pictures become better, and stay so."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from studio.core.errors import InvalidRequest
from studio.engine import Engine, Styled
from studio.engine.style_requests import MAX_PRACTICE
from studio.ui import style_views as views
from studio.ui.handlers import Raw, View, status
from studio.ui.style_desk import LIVE_SIZE, Desk, chosen, left

PRACTICE = 60  # steps at a press


def practise(engine: Engine, desk: Desk) -> Iterator[View]:
    """Let the style pictures practise, with the instant picture now and then; every picture after that gains by it."""
    asked = desk.request(fast=True, start="instant", size=LIVE_SIZE)
    had = engine.practised(asked, desk.pictures)
    if all(style.picture is None for style in asked.styles):
        raise InvalidRequest("The masterworks have practised already; add a style picture of your own to practise.")
    pairs = list(zip(asked.styles, had.styles, strict=True))
    goals = [goal(style.practice, done.practice) if style.picture else 0 for style, done in pairs]
    if all(steps <= done.practice for steps, (_, done) in zip(goals, pairs, strict=True)):
        raise InvalidRequest(f"These styles have practised {MAX_PRACTICE} steps, which is as many as they can.")
    palette = practising(desk.palette, goals)
    request = replace(desk, palette=palette).request(fast=True, start="instant", size=LIVE_SIZE)
    photo = desk.pictures[request.content]
    for progress in engine.stylize(request, desk.pictures):
        styled: Styled | None = progress.result or progress.preview
        view: View = {"status": status(f"Practising{left(progress)}: step", progress)}
        if styled is not None:
            view |= {"stage": views.stage(styled.image, photo, "Instant", desk.named), "done": None, "curves": ""}
        if progress.result is not None:
            view |= {"palette": palette, "status": status(f"Practised {max(goals)} steps")}
        yield view


def kept(engine: Engine, desk: Desk) -> View:
    """The palette with the practice that there has really been, where that is more than it says."""
    asked = desk.request(start="instant")
    before = [style.practice for style in asked.styles]
    most = practising(desk.palette, [MAX_PRACTICE if style.picture else 0 for style in asked.styles])
    had = engine.practised(replace(desk, palette=most).request(start="instant"), desk.pictures)
    after = [max(steps, style.practice) for steps, style in zip(before, had.styles, strict=True)]
    return {} if after == before else {"palette": practising(desk.palette, after)}


def practising(palette: Raw, steps: Sequence[int]) -> dict[str, Any]:
    """The palette with so many steps of practice for each style."""
    return {"styles": [{**style, "practice": own} for style, own in zip(chosen(palette), steps, strict=True)]}


def goal(asked: int, done: int) -> int:
    """Steps after the next press: those that were asked for where they are not there yet, else some more."""
    return asked if done < asked else min(done + PRACTICE, MAX_PRACTICE)
