"""How pictures come to the Style tab from elsewhere: sent from another tab, or dropped with a recipe."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from studio.core.images import open_image
from studio.engine import Picture, Pictures, RestoredStyle, StylizeRequest
from studio.engine.style_requests import STARTS
from studio.ui import pictures
from studio.ui import style_views as views
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.handlers import Raw, View, status
from studio.ui.large import stage_size
from studio.ui.style_desk import Desk, master_key, picture_key
from studio.ui.style_jobs import StyleJobs, address, entry
from studio.ui.table import there

STYLE = "style"
CONTROLS = (
    "size style_weight content_weight style_scale preserve_color steps similarity optimizer learning_rate tv start seed"
)
Masters = Mapping[str, Image.Image]


@dataclass(frozen=True)
class StyleOpening:
    """The handlers by which pictures arrive; what they show is named as on the whole page."""

    jobs: StyleJobs
    explore: ExploreJobs
    classes: ClassesJobs

    def take(self, desk: Desk, file: str) -> Iterator[View]:
        """A plain picture becomes the photo."""
        yield from prefixed(self.jobs.take(desk, file))

    def explored(
        self, desk: Desk, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw
    ) -> Iterator[View]:
        """The current picture of Explore becomes the photo."""
        yield from self._as_photo(desk, *self._explored(model, current, truncation, adaptation))

    def explored_style(
        self,
        desk: Desk,
        model: Raw,
        current: Picture | None,
        truncation: Raw,
        adaptation: Raw,
        style_masters: Masters,
        style_own: Sequence[str],
    ) -> Iterator[View]:
        """The current picture of Explore becomes a style."""
        yield from self._as_style(
            desk, *self._explored(model, current, truncation, adaptation), style_masters, style_own
        )

    def _explored(
        self, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw
    ) -> tuple[Image.Image, str]:
        engine, size = self.explore.engine, stage_size(self.explore.engine, model)
        sample = engine.render(model, there(current), truncation=truncation, adaptation=adaptation, size=size)
        return sample.image, f"{sample.recipe['model']} {pictures.caption(sample.picture)}"

    def mixed(
        self, desk: Desk, model: Raw, class_seed: Raw, mixture: Raw, class_truncation: Raw, class_adaptation: Raw
    ) -> Iterator[View]:
        """The picture of the mixture becomes the photo."""
        yield from self._as_photo(desk, *self._mixed(model, class_seed, mixture, class_truncation, class_adaptation))

    def mixed_style(
        self,
        desk: Desk,
        model: Raw,
        class_seed: Raw,
        mixture: Raw,
        class_truncation: Raw,
        class_adaptation: Raw,
        style_masters: Masters,
        style_own: Sequence[str],
    ) -> Iterator[View]:
        """The picture of the mixture becomes a style."""
        made = self._mixed(model, class_seed, mixture, class_truncation, class_adaptation)
        yield from self._as_style(desk, *made, style_masters, style_own)

    def _mixed(self, model: Raw, seed: Raw, mixture: Raw, truncation: Raw, adaptation: Raw) -> tuple[Image.Image, str]:
        size = stage_size(self.classes.engine, model)
        sample = self.classes.mixed(model, seed, mixture, truncation, adaptation, size)
        return sample.image, f"{sample.recipe['model']} {pictures.caption(sample.picture)}"

    def _as_photo(self, desk: Desk, image: Image.Image, name: str) -> Iterator[View]:
        yield {"tabs": gr.Tabs(selected=STYLE)}
        yield from prefixed(self.jobs.use(desk, desk.pictures.add(image, name)))

    def _as_style(
        self, desk: Desk, image: Image.Image, name: str, masters: Masters, own: Sequence[str]
    ) -> Iterator[View]:
        yield {"tabs": gr.Tabs(selected=STYLE)}
        yield from prefixed(self.jobs.hang(desk, [desk.pictures.add(image, name)], masters, own))

    def restore(
        self, desk: Desk, restored: RestoredStyle, file: str, masters: Masters, own: Sequence[str]
    ) -> Iterator[View]:
        """Settings and styles of a recipe, its pictures as far as they are known, and the picture that carried it."""
        request, store = restored.request, desk.pictures
        known = {name for name in request.references if name in store}
        content = request.content if request.content in known else None
        photo = store[content] if content else None
        palette = {"styles": list(self._styles(request, store, known))}
        mine = tuple(dict.fromkeys((*(one.picture for one in request.styles if one.picture in known), *own)))
        mask = request.mask if request.mask in known else None
        shown = open_image(Path(file), alpha="keep", max_pixels=store.max_pixels)
        view: View = {
            "content": content,
            "photo": views.photo(photo, store.title(content) if content else ""),
            "mask": mask,
            "brush": views.brush(photo, address(store[mask]) if mask else None),
            "palette": palette,
            "own": mine,
            "wall_view": self.jobs.wall(masters, store, [name for name in mine if name]),
            "done": None,
            "curves": "",
            "stage": views.stage(shown, photo, "Restored"),
            "status": status(" ".join(filter(None, (restored.notice, absent(request, known)))) or "Restored"),
            **settings(request),
        }
        yield from prefixed([view])

    def _styles(self, request: StylizeRequest, store: Pictures, known: set[str]) -> Iterator[dict[str, Any]]:
        """The styles of a request that are here, as the palette shows them."""
        engine = self.jobs.engine
        for style in request.styles:
            if style.picture in known:
                name = str(style.picture)
                yield entry(picture_key(name), store.title(name), store[name], style.weight, style.practice)
            elif style.masterwork in engine.masterworks():
                name = str(style.masterwork)
                yield entry(master_key(name), views.title(name), engine.masterwork_thumbnail(name), style.weight)


def settings(request: StylizeRequest) -> View:
    """A request's settings as the controls show them."""
    values = {name: getattr(request, name) for name in CONTROLS.split()}
    values["similarity"] = list(request.similarity)
    values["learning_rate"] = request.learning_rate or 0
    values["seed"] = str(request.seed)
    values["start"] = request.start if request.start in STARTS else "instant"
    return values


def absent(request: StylizeRequest, known: set[str]) -> str:
    """Which pictures must be added again, as a sentence; nothing where all are known."""
    missing = ["the photo"] if request.content not in known else []
    missing += [
        f"style {index}"
        for index, style in enumerate(request.styles, 1)
        if style.picture and style.picture not in known
    ]
    missing += ["the mask"] if request.mask and request.mask not in known else []
    return (
        f"The settings are back; add {' and '.join(missing)} again, which this studio does not have." if missing else ""
    )


def prefixed(views_: Any) -> Iterator[View]:
    """Views of the tab's own handlers for the whole page."""
    for view in views_:
        yield {f"style_{name}": value for name, value in view.items()}
