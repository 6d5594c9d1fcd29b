"""What the engine gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from studio.core.images import save_png, tile
from studio.engine.requests import ClassesRequest, Picture, SampleRequest, Seeded


@dataclass(frozen=True)
class ModelInfo:
    """A row of the list of models. error: why the file cannot be used, else None; then what describes it is empty.

    resolution: side in px. layers: styles a picture; 1 means that styles cannot be mixed. card: its text, Markdown.
    title: what people call it, which for a held adapter is not its name. base: the name of an adapter's base, known
    also where it cannot be used; "" for others. An adapter's own class is the last of its classes.
    """

    name: str
    path: Path
    error: str | None = None
    kind: str = ""
    resolution: int = 0
    classes: tuple[str, ...] = ()
    layers: int = 0
    parameters: int = 0
    sha256: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    card: str | None = None
    title: str = ""
    base: str = ""
    base_sha256: str = ""


@dataclass(frozen=True)
class Sample:
    """A picture, its lineage with every class made explicit, and the recipe that makes it again."""

    image: Image.Image
    picture: Picture
    recipe: Mapping[str, Any]

    @property
    def seed(self) -> int | None:
        """The seed of a picture that is nothing but a seed, else None."""
        return self.picture.seed if isinstance(self.picture, Seeded) else None

    def save(self, path: Path | str, keep_recipe: bool = True) -> None:
        """Write a PNG, with the recipe in it where that is wanted."""
        save_png(self.image, path, self.recipe if keep_recipe else None)


@dataclass(frozen=True)
class ClassGrid:
    """Classes × seeds. samples[row][column] is the picture of class rows[row] and seed seeds[column]."""

    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    samples: tuple[tuple[Sample, ...], ...]

    def sheet(self) -> Image.Image:
        """All pictures on one sheet, the classes and seeds beside them."""
        images = [sample.image for row in self.samples for sample in row]
        return tile(images, len(self.seeds), row_labels=self.rows, column_labels=[str(seed) for seed in self.seeds])


@dataclass(frozen=True)
class Restored:
    """What a recipe asks for. picture: the one that carried it. notice: a sentence where its model has changed."""

    request: SampleRequest | ClassesRequest
    picture: Picture
    notice: str | None
