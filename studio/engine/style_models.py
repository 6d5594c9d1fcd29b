"""The models of style transfer: found by name, loaded once, and asked for codes and pictures."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest, StudioError, UnknownName
from studio.core.images import to_image, to_tensor
from studio.core.progress import Progress
from studio.engine.device import Precision
from studio.engine.library import Library
from studio.engine.neutral import neutral_picture
from studio.engine.pictures import opaque, wanted
from studio.engine.readings import LOOK, Reader, Reading
from studio.engine.style_requests import Style, StylizeRequest
from studio.style import vgg19
from studio.style.codes import read_codes
from studio.style.encoder import Perception, StyleEncoder
from studio.style.moments import Moments, read_moments
from studio.style.similarity import SIMILARITIES
from studio.style.stylizer import Stylizer

PARTS = ("encoder", "stylizer")
MASTERWORKS, MOMENTS = "masterworks", "masterworks-moments"


@dataclass(frozen=True)
class StyleModels:
    """Loaded models on one device. perception: the encoder that a refinement looks with. hashes: of the files."""

    reader: Reader
    perception: nn.Module
    masterworks: Mapping[str, Tensor]
    moments: Mapping[str, Moments]
    hashes: Mapping[str, str]

    @property
    def device(self) -> torch.device:
        return self.reader.precision.device

    @torch.no_grad()
    def paint(self, content: Tensor, own: Reading, code: Tensor, strength: float, content_weight: float) -> Tensor:
        """content: (3,H,W) in [-1,1] on the device; own: its reading; code: (1,C) → (3,H,W) in [-1,1]."""
        with self.reader.precision.chosen():
            painted: Tensor = self.reader.stylizer(content[None], code, own.code, content_weight, strength, own.maps)
        return painted[0].float()

    def masterwork(self, name: str) -> Tensor:
        """A masterwork's code (1,C). Raises UnknownName."""
        if name not in self.masterworks:
            raise UnknownName("masterwork", name, tuple(self.masterworks))
        return self.masterworks[name][None]

    def target(self, style: Style, pictures: Mapping[str, Image.Image]) -> Tensor | Moments:
        """What a refinement goes towards: a style's picture (3,h,w) in [-1,1], or a masterwork's moments."""
        if style.picture is None:
            return self.moments[style.masterwork or ""]
        return to_tensor(opaque(wanted(pictures, style.picture, "style"))).to(self.device)

    def thumbnail(self, name: str, side: int) -> Image.Image:
        """A neutral picture in the hand of a masterwork."""
        image = neutral_picture(2 * side)
        own = self.reader.content("neutral", image)
        content = to_tensor(image).to(self.device)
        painted = to_image(self.paint(content, own, self.masterwork(name), 1.0, 0.3))
        return painted.resize((side, side), Image.Resampling.LANCZOS)


class StyleShelf:
    """Finds the files beside the other models and loads each once. precision: asked for at the first load."""

    def __init__(self, library: Library, precision: Callable[[], Precision]) -> None:
        self._library, self._precision = library, precision
        self._loaded: dict[tuple[str, ...], StyleModels] = {}

    @property
    def complete(self) -> bool:
        """Whether encoder and stylizer are there and can be used."""
        try:
            return all(self._library.part(name) is not None for name in PARTS)
        except StudioError:
            return False

    def masterworks(self) -> tuple[str, ...]:
        """Their names; none where the file is not there or belongs to another stylizer."""
        opened, stylizer = self._library.part(MASTERWORKS), self._library.part("stylizer")
        return () if opened is None or not _belongs(opened, "stylizer", stylizer) else opened.classes

    def refinable(self) -> tuple[str, ...]:
        """Those masterworks that can also be refined towards."""
        opened = self._library.part(MOMENTS)
        return (
            () if opened is None or not _belongs(opened, "encoder", self._library.part("encoder")) else opened.classes
        )

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the files that are there, by name."""
        opened = {name: self._library.part(name) for name in (*PARTS, MASTERWORKS, MOMENTS)}
        return {name: found.sha256 for name, found in opened.items() if found is not None}

    def check(self, request: StylizeRequest) -> None:
        """Raise a StudioError where a request cannot be served with what is here."""
        for name in PARTS:
            self._part(name)
        known = self.masterworks()
        for style in request.styles:
            if style.masterwork is not None and style.masterwork not in known:
                raise UnknownName("masterwork", style.masterwork, known)
            if style.masterwork is not None and not request.fast:
                self._check_refinable(request, style.masterwork)

    def _check_refinable(self, request: StylizeRequest, masterwork: str) -> None:
        """A masterwork's picture is not here; what can be refined towards is what our encoder's moments tell."""
        if request.encoder != "builtin" or masterwork not in self.refinable():
            raise InvalidRequest(
                f"The masterwork {masterwork!r} is known here without its picture, so this refinement cannot go "
                "towards it; choose the instant picture, or add a picture of the work as a style."
            )
        blind = next((name for name in request.similarity if name not in by_moments()), None)
        if blind is not None:
            raise InvalidRequest(
                f"Similarity {blind!r} needs the style's picture, and masterworks are known here without; choose "
                f"{', '.join(by_moments())}, or add a picture of the work as a style."
            )

    def fetch(self, encoder: str) -> Generator[Progress[Any], None, None]:
        """Bring weights that are not shipped, once."""
        if encoder == "vgg19":
            yield from vgg19.fetch()

    def loaded(self, encoder: str) -> StyleModels | None:
        """The models, where they are loaded already."""
        return self._loaded.get((encoder, *self.hashes().values()))

    def load(self, encoder: str) -> StyleModels:
        """The models, loaded at the first call and again where a file has changed."""
        hashes = self.hashes()
        key = (encoder, *hashes.values())
        if key not in self._loaded:
            kept = {known: models for known, models in self._loaded.items() if known[1:] == key[1:]}
            self._loaded = {**kept, key: self._load(encoder, hashes)}
        return self._loaded[key]

    def _load(self, encoder: str, hashes: dict[str, str]) -> StyleModels:
        precision = self._precision()
        device = precision.device
        own = _ready(self._part("encoder").build_module(), device)
        stylizer = _ready(self._part("stylizer").build_module(), device)
        if not isinstance(own, StyleEncoder) or not isinstance(stylizer, Stylizer):
            raise CheckpointError("encoder.safetensors and stylizer.safetensors do not hold what their names say.")
        if own.widths != stylizer.config.widths:
            raise CheckpointError("The stylizer was trained with another encoder; put the two of one release together.")
        masterworks = {name: code.to(device) for name, code in self._codes(stylizer.code_length).items()}
        reader = Reader(own, stylizer, precision)
        precision.decide(lambda: _trial(reader))
        perception = Perception(own) if encoder == "builtin" else _ready(vgg19.build(), device)
        return StyleModels(reader, perception, masterworks, self._moments(device), hashes)

    def _codes(self, length: int) -> dict[str, Tensor]:
        """The masterworks' codes (C,) by name, of the stylizer's length."""
        opened = self._library.part(MASTERWORKS)
        codes = read_codes(opened) if opened is not None and self.masterworks() else {}
        found = next((len(code) for code in codes.values()), length)
        if found != length:
            raise CheckpointError(
                f"The codes in {MASTERWORKS}.safetensors have {found} entries and the stylizer's {length}; put the two "
                "of one release together."
            )
        return codes

    def _moments(self, device: torch.device) -> dict[str, Moments]:
        opened = self._library.part(MOMENTS)
        if opened is None or not self.refinable():
            return {}
        return {
            name: Moments(tuple(layer.to(device) for layer in style.layers))
            for name, style in read_moments(opened).items()
        }

    def _part(self, name: str) -> Checkpoint:
        opened = self._library.part(name)
        if opened is None:
            raise CheckpointError(
                f"Style transfer needs {name}.safetensors beside the other models; train it with: studio train {name}."
            )
        return opened


def by_moments() -> tuple[str, ...]:
    """The similarities that can compare with a masterwork."""
    return tuple(name for name in SIMILARITIES if SIMILARITIES[name].evidence == "moments")


def _belongs(opened: Checkpoint, model: str, there: Checkpoint | None) -> bool:
    """Whether a file was made for the model that is there."""
    return there is not None and opened.config.get(model, "") in ("", there.sha256)


def _trial(reader: Reader) -> Tensor:
    """What an instant picture costs on a GPU: a picture read and painted, (1,3,S,S)."""
    picture = torch.zeros(1, 3, 2 * LOOK, 2 * LOOK, device=reader.precision.device)
    maps = reader.encoder(picture[..., :LOOK, :LOOK])
    code = reader.stylizer.code((picture, *maps), picture)
    painted: Tensor = reader.stylizer(picture, code, code, maps=maps)
    return painted


def _ready(model: nn.Module, device: torch.device) -> nn.Module:
    model.eval().requires_grad_(False).to(device)
    return model.to(memory_format=torch.channels_last)
