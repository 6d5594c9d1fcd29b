"""Pictures at more than the size at which a model paints: on the stage when nothing moves, and to be downloaded."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from studio.engine import Engine, Sample
from studio.settings import Settings
from studio.ui import pictures
from studio.ui.handlers import Handler, Parts, Raw, View, connect
from studio.ui.pictures import Card

STAGE = 512  # px
SIZES = (256, 512, 1024)


def sizes(settings: Settings) -> list[tuple[str, int]]:
    """What a picture's or a film's side can be; 0 is the model's own."""
    return [("As painted", 0)] + [(f"{side} px", side) for side in SIZES if side <= settings.max_size]


def offered(size: int | None, settings: Settings) -> int:
    """A recipe's size as one of the choices: itself, or the model's own."""
    return size if size is not None and size in [side for _, side in sizes(settings)] else 0


def size_choice(engine: Engine) -> Any:
    """The size of a download: what the stage shows, where that is larger than what the model paints."""
    own = STAGE if engine.can_enlarge and engine.settings.max_size >= STAGE else 0
    return gr.Dropdown(
        sizes(engine.settings),
        value=own,
        label="Size of the PNG",
        container=False,
        filterable=False,
        min_width=110,
        scale=0,
        elem_classes="side",
    )


def can_be_larger(engine: Engine, side: int) -> bool:
    """Whether a picture of so many px is shown enlarged on the stage when nothing moves."""
    return engine.can_enlarge and engine.settings.max_size >= STAGE and side < STAGE


def stage_size(engine: Engine, model: Raw) -> int | None:
    """Px of a picture that lies on the stage when nothing moves; None where that is what the model paints."""
    return STAGE if can_be_larger(engine, engine.info(model).resolution) else None


def enlarge(engine: Engine, model: Raw, paint: Callable[[int], Sample]) -> Iterator[View]:
    """The picture on the stage once more, enlarged, where that can be done. paint: of a size in px → the picture."""
    size = stage_size(engine, model)
    if size is not None:
        yield {}  # the stage is claimed before it is painted, so that a picture which comes in between stays
        yield {"stage": pictures.stage(Card.of(paint(size)))}


def afterwards(dependency: Any, handler: Handler, parts: Parts, prefix: str = "") -> Any:
    """Let an event that has shown a picture be followed by the enlarged one. → that dependency."""
    return connect(dependency.success, handler, parts, "stage", prefix=prefix, place=f"{prefix}stage")
