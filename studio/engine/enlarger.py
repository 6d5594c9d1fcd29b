"""Pictures larger than a model paints them: doubled by the upscaler where its file is there, then scaled by Lanczos."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, StudioError
from studio.core.images import to_tensor, to_uint8
from studio.core.video import Frame
from studio.engine.device import Precision
from studio.engine.library import Library
from studio.models.upscaler import FACTOR, Upscaler

NAME = "upscaler"  # its file, without the suffix
TILE = 256  # px of a part that is doubled at once, so that the maps between do not grow with the picture


class Enlarger:
    """Finds the upscaler beside the other models and loads it once, and again where its file has changed."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._loaded: dict[str, Upscaler] = {}  # by sha256, one at most

    @property
    def ready(self) -> bool:
        """Whether the upscaler's file is there and can be used."""
        with suppress(StudioError):
            return self.sha256 is not None
        return False

    @property
    def sha256(self) -> str | None:
        """Of the upscaler's file; None where there is none, and enlarging is by Lanczos alone. Raises CheckpointError
        where the file cannot be used."""
        opened = self._library.part(NAME)
        return None if opened is None else opened.sha256

    def enlarged(self, frames: Sequence[Frame], size: int | None, precision: Precision) -> list[Frame]:
        """(H,W,3) each, their long sides brought to `size` px; as they are where that is None.

        To be called on a worker of the device: a frame's bits depend on the frame alone.
        """
        return list(frames) if size is None else [self._one(frame, size, precision) for frame in frames]

    def _one(self, frame: Frame, size: int, precision: Precision) -> Frame:
        opened = self._library.part(NAME) if max(frame.shape[:2]) < size else None
        if opened is not None:
            frame = self._doubled(frame, size, self._model(opened, precision.device), precision)
        height, width = frame.shape[:2]
        if max(height, width) == size:
            return frame
        scale = size / max(height, width)
        sides = max(round(width * scale), 1), max(round(height * scale), 1)
        return np.asarray(Image.fromarray(frame).resize(sides, Image.Resampling.LANCZOS))

    @torch.inference_mode()
    def _doubled(self, frame: Frame, size: int, model: Upscaler, precision: Precision) -> Frame:
        """Until the long side is no shorter than `size`."""
        x = to_tensor(Image.fromarray(frame))[None].to(precision.device)
        with precision.chosen():
            while max(x.shape[2:]) < size:
                x = doubled(model, x)
        return to_uint8(x)[0]

    def _model(self, opened: Checkpoint, device: torch.device) -> Upscaler:
        if opened.sha256 not in self._loaded:
            model = opened.build_module()
            if not isinstance(model, Upscaler):
                raise CheckpointError(f"{opened.path.name} is no upscaler but of kind {opened.kind!r}; put one there.")
            model = model.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
            self._loaded = {opened.sha256: model}
        return self._loaded[opened.sha256]


def doubled(model: Upscaler, x: Tensor) -> Tensor:
    """Twice the size, part by part, each with as much around it as its pixels depend on. (1,3,H,W) → (1,3,2H,2W)."""
    height, width, reach = *x.shape[2:], model.reach
    rows = []
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, TILE):
            up, back = min(top, reach), min(left, reach)
            part = x[:, :, top - up : top + TILE + reach, left - back : left + TILE + reach]
            painted = model(part.contiguous(memory_format=torch.channels_last))
            high, wide = (min(TILE, side - start) * FACTOR for side, start in ((height, top), (width, left)))
            row.append(painted[:, :, up * FACTOR : up * FACTOR + high, back * FACTOR : back * FACTOR + wide])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)
