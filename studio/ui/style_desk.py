"""What stands on the Style tab's desk when a button is pressed, and the request that it means."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.engine import Pictures, Styled, StylizeRequest
from studio.ui.handlers import Handler, Raw, View, read_seed

LIVE_SIZE = 512  # px, of the picture that follows the sliders
STAGE = "stage"  # the start that means the picture on the stage


@dataclass(frozen=True)
class Desk:
    """The controls of the tab by name, as the page sends them. done: what stands on the stage, None while a photo."""

    pictures: Pictures
    content: str | None
    mask: str | None
    done: Styled | None
    palette: Raw
    size: Raw
    style_weight: Raw
    content_weight: Raw
    style_scale: Raw
    preserve_color: Raw
    steps: Raw
    similarity: Raw
    optimizer: Raw
    learning_rate: Raw
    tv: Raw
    start: Raw
    seed: Raw

    @property
    def ready(self) -> bool:
        """Whether there is a photo and a style that counts."""
        return self.content is not None and any(style["weight"] for style in chosen(self.palette))

    @property
    def named(self) -> str:
        """The styles that count, by name."""
        return ", ".join(str(style.get("name", "")) for style in chosen(self.palette) if style["weight"])

    def request(self, **changes: Any) -> StylizeRequest:
        """The request that the desk means. Raises InvalidRequest, one sentence."""
        if self.content is None:
            raise InvalidRequest("There is no photo yet; choose one, or drop it on the page.")
        styles = [
            {**_source(style["key"]), "weight": style["weight"], "practice": style.get("practice") or 0}
            for style in chosen(self.palette)
        ]
        if not styles:
            raise InvalidRequest("There is no style yet; choose one on the wall, or add a picture of your own.")
        return StylizeRequest(
            **{
                "content": self.content,
                "styles": styles,
                "mask": self.mask,
                "size": self.size,
                "style_weight": self.style_weight,
                "content_weight": self.content_weight,
                "style_scale": self.style_scale,
                "preserve_color": self.preserve_color,
                "steps": self.steps,
                "similarity": self.similarity,
                "optimizer": self.optimizer,
                "learning_rate": self.learning_rate or None,
                "tv": self.tv,
                "start": self._start(),
                "seed": read_seed(self.seed),
                **changes,
            }
        )

    def _start(self) -> Raw:
        if self.start != STAGE:
            return self.start
        if self.done is None:
            return "instant"  # which is what stands on the stage
        return self.pictures.add(self.done.image)


def chosen(palette: Raw) -> list[Mapping[str, Any]]:
    """The styles in the palette, as far as they are any; the request checks what they hold."""
    styles = palette.get("styles") if isinstance(palette, Mapping) else None
    listed = styles if isinstance(styles, list) else []
    return [style for style in listed if isinstance(style, Mapping) and {"key", "weight"} <= set(style)]


def left(progress: Progress[Any]) -> str:
    """The time left, in words."""
    seconds = progress.metrics.get("seconds_left")
    return "" if seconds is None else f", {seconds:.0f} s left"


def master_key(name: str) -> str:
    """The palette's key of a masterwork."""
    return f"m:{name}"


def picture_key(name: str) -> str:
    """The palette's key of a picture."""
    return f"p:{name}"


def _source(key: Raw) -> dict[str, Any]:
    kind, _, name = str(key).partition(":")
    return {"masterwork" if kind == "m" else "picture": name}


def at_desk(handler: Callable[..., Iterator[View]], prefix: str = "") -> Handler:
    """A handler whose parameter ``desk`` is the whole desk; the others stay parts by name.

    prefix: of the desk's parts, where the handler does not belong to the tab.
    """
    names = [entry.name for entry in fields(Desk)]
    own = [parameter.name for parameter in inspect.signature(handler).parameters.values() if parameter.name != "desk"]

    def run(**given: Any) -> Iterator[View]:
        desk = Desk(**{name: given[prefix + name] for name in names})
        yield from handler(desk=desk, **{name: given[name] for name in own})

    wanted = list(dict.fromkeys((*(prefix + name for name in names), *own)))
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    run.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in wanted])  # type: ignore[attr-defined]
    return run
