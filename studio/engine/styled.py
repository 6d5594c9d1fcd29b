"""What style transfer gives back: a picture, the request that made it, and what is needed to go on from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from studio.core.images import save_png, tile
from studio.engine.style_requests import StylizeRequest
from studio.style.refine import RefineState


@dataclass(frozen=True)
class Styled:
    """A stylised picture. request: what made it, with the steps really done. steps: 0 for an instant picture.

    curves: name of a loss → its value at each step. state: where the refinement stands, None for an instant picture.
    """

    image: Image.Image
    request: StylizeRequest
    recipe: Mapping[str, Any]
    steps: int = 0
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    state: RefineState | None = field(default=None, repr=False, compare=False)

    def save(self, path: Path | str, keep_recipe: bool = True) -> None:
        """Write a PNG, with the recipe in it where that is wanted."""
        save_png(self.image, path, self.recipe if keep_recipe else None)

    def light(self) -> "Styled":
        """The same without the optimiser's memory, which can be a hundred times as large; resuming still works."""
        if self.state is None or self.state.memory is None:
            return self
        best = self.state.next if self.state.best is None else self.state.best
        return replace(self, state=replace(self.state, next=best, memory=None))


@dataclass(frozen=True)
class Variants:
    """The same pair under several similarities, each by its name."""

    names: tuple[str, ...]
    styled: tuple[Styled, ...]

    def sheet(self, columns: int = 4) -> Image.Image:
        """All pictures on one sheet, the similarity above each."""
        titled = [_titled(item.image, name) for name, item in zip(self.names, self.styled, strict=True)]
        return tile(titled, min(columns, len(titled)), gap=8)


@dataclass(frozen=True)
class RestoredStyle:
    """What a stylised picture's recipe asks for. notice: a sentence where a model has changed."""

    request: StylizeRequest
    notice: str | None


def _titled(image: Image.Image, name: str) -> Image.Image:
    return tile([image], 1, column_labels=(name.replace("_", " "),))
