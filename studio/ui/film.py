"""Walks as films: the pictures on the way, the settings, the frames while they come, the file at the end."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from studio.core.errors import InvalidRequest
from studio.engine import Engine, Seeded, WalkRequest
from studio.settings import Settings
from studio.ui import pictures
from studio.ui.handlers import Raw, View, read_seed, status
from studio.ui.large import sizes
from studio.ui.pictures import Card

MOMENT = 0.08  # seconds between two frames that are shown while a film is made
SHOW = "screen film film_status"
SPACES = {"Smooth": "w", "Arcs": "z"}


def settings_row(settings: Settings) -> dict[str, Any]:
    """The controls of a film. → parts by name."""
    with gr.Row(elem_classes="film-settings"):
        return {
            "frames": gr.Slider(8, settings.max_frames, 120, step=1, label="Frames", min_width=150, buttons=[]),
            "fps": gr.Slider(6, 50, 30, step=1, label="Frames / s", min_width=150, buttons=[]),
            "format": gr.Radio([("MP4", "mp4"), ("GIF", "gif")], value="mp4", label="Format", min_width=110),
            "size": gr.Dropdown(sizes(settings), value=0, label="Side", min_width=110),
            "space": gr.Radio(list(SPACES.items()), value="w", label="Way between", min_width=150),
            "loop": gr.Checkbox(True, label="Loop", min_width=70, elem_classes="loop"),
        }


def render_button() -> Any:
    """The button that starts a film."""
    return gr.Button("Render the walk", variant="primary", size="sm", min_width=130, scale=0)


def screen() -> dict[str, Any]:
    """Where frames and films are seen. → parts by name."""
    with gr.Column(elem_classes="screening", min_width=240):
        return {
            "screen": gr.HTML(darkness(), elem_classes="screen-box"),
            "film": gr.DownloadButton("Download the film", visible=False, size="sm", elem_classes="film-download"),
        }


def darkness() -> str:
    """The screen before a film."""
    return '<div class="screen"><span>The film appears here.</span></div>'


@dataclass(frozen=True)
class FilmJobs:
    """The handlers of a walk's panel, over one engine."""

    engine: Engine

    def through_pictures(
        self,
        model: Raw,
        strip: tuple[Card, ...],
        truncation: Raw,
        adaptation: Raw,
        frames: Raw,
        fps: Raw,
        format: Raw,  # noqa: A002 - the request's own name for it
        size: Raw,
        space: Raw,
        loop: Raw,
    ) -> Iterator[View]:
        """A film through the pictures of the strip."""
        if len(strip) < 2:
            raise InvalidRequest("A walk needs at least 2 pictures; add them with + below a picture.")
        yield from self.film(
            WalkRequest(
                model=model,
                pictures=tuple(card.picture for card in strip),
                truncation=truncation,
                adaptation=adaptation,
                **_settings(frames, fps, format, size, space, loop),
            )
        )

    def through_classes(
        self,
        model: Raw,
        route: Raw,
        seed: Raw,
        truncation: Raw,
        adaptation: Raw,
        frames: Raw,
        fps: Raw,
        format: Raw,  # noqa: A002
        size: Raw,
        space: Raw,
        loop: Raw,
    ) -> Iterator[View]:
        """A film of one seed from class to class."""
        if len(route) < 2:
            raise InvalidRequest("A walk from class to class needs at least 2 classes; choose more of them.")
        yield from self.film(
            WalkRequest(
                model=model,
                pictures=tuple(Seeded(seed=read_seed(seed), classes={name: 1.0}) for name in route),
                truncation=truncation,
                adaptation=adaptation,
                **_settings(frames, fps, format, size, space, loop),
            )
        )

    def film(self, request: WalkRequest) -> Iterator[View]:
        """Show frames as they come, then the film."""
        file = Path(tempfile.mkdtemp(prefix="walk-", dir=cache_folder())) / f"walk.{request.format}"
        began, shown = time.monotonic(), 0.0
        for progress in self.engine.walk(request, file):
            now = time.monotonic()
            if progress.result is not None:
                yield {
                    "screen": projection(progress.result, request.format),
                    "film": gr.DownloadButton(value=str(progress.result), visible=True),
                    "film_status": status(f"{request.frames} frames in {now - began:.1f} s"),
                }
            elif now - shown >= MOMENT:
                shown = now
                left = (now - began) / progress.step * (request.frames - progress.step)
                yield {
                    "screen": _frame(progress.preview, progress.step),
                    "film_status": status(f"Walking, {left:.0f} s left: frame", progress),
                }


def _settings(frames: Raw, fps: Raw, form: Raw, size: Raw, space: Raw, loop: Raw) -> dict[str, Any]:
    return {"frames": frames, "fps": fps, "format": form, "size": size or None, "space": space, "loop": loop}


def _frame(image: Image.Image, step: int) -> str:
    return f'<div class="screen"><img src="{pictures.data_uri(image)}" alt="Frame {step} of the walk"></div>'


def projection(file: Path, form: Raw) -> str:
    """A finished film, playing."""
    address = f"gradio_api/file={escape(file.as_posix())}"
    if form == "gif":
        return f'<div class="screen"><img src="{address}" alt="The walk as a film"></div>'
    return (
        f'<div class="screen"><video src="{address}" controls autoplay loop muted playsinline '
        'aria-label="The walk as a film"></video></div>'
    )


def cache_folder() -> Path:
    """The folder that gradio serves files from and clears by their age."""
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
