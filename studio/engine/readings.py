"""What the stylizer knows of a picture: its code, and of a content also the encoder's maps, each read once; and what
practice has made of a style's code."""

from collections import OrderedDict
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from studio.core.images import to_tensor
from studio.engine.device import Precision
from studio.engine.neutral import neutral_contents
from studio.engine.pictures import opaque
from studio.style.encoder import SMALLEST, StyleEncoder
from studio.style.practice import Course, perceived, trainable
from studio.style.sight import LOOK as RELATIVE
from studio.style.sight import READ
from studio.style.stylizer import Stylizer

LOOK = 256  # px, short side at which codes are read: that of the pictures which the stylizer was trained on
FARTHEST = 1024  # px, long side at most
REMEMBERED = 64  # codes
COURSES = 16  # of practice, kept
MAP_BYTES = 64 << 20  # of the maps of contents; those of the last content always stay

Key = tuple[str, int, int]  # of a picture at a size


@dataclass(frozen=True)
class Reading:
    """code: (1,C). maps: of the encoder, (1,C_l,…,…), as many as the stylizer matches."""

    code: Tensor
    maps: tuple[Tensor, ...]

    @property
    def bytes(self) -> int:
        return sum(each.nbytes for each in self.maps)


@dataclass(frozen=True)
class Reader:
    """Reads pictures by their references. The same picture at the same size always has the same code."""

    encoder: StyleEncoder
    stylizer: Stylizer
    precision: Precision
    _codes: "OrderedDict[Key, Tensor]" = field(default_factory=OrderedDict)  # the least recently used first
    _contents: "OrderedDict[Key, Reading]" = field(default_factory=OrderedDict)
    _courses: "OrderedDict[Key, Course]" = field(default_factory=OrderedDict)

    def style(self, name: str, image: Image.Image, scale: float = 1.0) -> Tensor:
        """The code (1,C) of a picture. scale: of the strokes."""
        key = _key(name, image, scale)
        known = self._codes.pop(key, None)
        return self._remember(key, self._read(key, image).code if known is None else known)

    def course(self, name: str, image: Image.Image, scale: float = 1.0) -> Course:
        """The practice on a picture's code, as far as it has come; begun where there is none."""
        key = _key(name, image, scale)
        course = self._courses.get(key)
        if course is None:
            size = (round(key[1] / RELATIVE), round(key[2] / RELATIVE))
            work = to_tensor(opaque(image).resize(size, Image.Resampling.LANCZOS))[None].to(self.precision.device)
            stylizer, views = trainable(self.stylizer), perceived(self.encoder)
            code = self.style(name, image, scale)
            course = Course(stylizer, self.encoder, views, neutral_contents, code, work, self.precision.chosen)
            self._courses[key] = course
        self._courses.move_to_end(key)
        while len(self._courses) > COURSES:
            self._courses.popitem(last=False)
        return course

    def practised(self, name: str, image: Image.Image, scale: float = 1.0) -> int:
        """Steps of practice on a picture's code that are done. Asked from any thread, beside a practice."""
        course = self._courses.get(_key(name, image, scale))
        return 0 if course is None else course.steps

    def content(self, name: str, image: Image.Image) -> Reading:
        """The code of a picture, and those of its maps that the stylizer matches."""
        key = _key(name, image)
        if not self.stylizer.config.matched:
            return Reading(self.style(name, image), ())
        known = self._contents.pop(key, None)
        reading = self._read(key, image) if known is None else known
        self._contents[key] = reading
        while len(self._contents) > 1 and sum(each.bytes for each in self._contents.values()) > MAP_BYTES:
            self._contents.popitem(last=False)
        self._codes.pop(key, None)
        self._remember(key, reading.code)
        return reading

    def _remember(self, key: Key, code: Tensor) -> Tensor:
        self._codes[key] = code
        while len(self._codes) > REMEMBERED:
            self._codes.popitem(last=False)
        return code

    @torch.no_grad()
    def _read(self, key: Key, image: Image.Image) -> Reading:
        image = opaque(image)
        picture = to_tensor(image.resize(key[1:], Image.Resampling.LANCZOS))[None].to(self.precision.device)
        with self.precision.chosen():
            maps = self.encoder(picture)
            code = self.stylizer.code((picture, *maps), closely(image, key[1:]).to(picture.device))
            return Reading(code, maps[: self.stylizer.config.matched])


def closely(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """A picture (1,3,H,W) as its finest octaves are read: at 1 / READ of the size (width, height) at which its code is,
    or as it is where that is smaller."""
    width, height = (round(side / READ) for side in size)
    image = opaque(image)
    small = image.width <= width or image.height <= height
    return to_tensor(image if small else image.resize((width, height), Image.Resampling.LANCZOS))[None]


def seen_closely(image: Image.Image, scale: float = 1.0) -> Tensor:
    """The same of a picture whose code is read as a style's is."""
    return closely(image, _key("", image, scale)[1:])


def _key(name: str, image: Image.Image, scale: float = 1.0) -> Key:
    """A picture by its reference, and its size where its strokes are `scale` times as large. A side is never too small
    for the encoder."""
    factor = min(LOOK * scale / min(image.size), FARTHEST / max(image.size))
    width, height = (max(SMALLEST, round(length * factor)) for length in image.size)
    return name, width, height
