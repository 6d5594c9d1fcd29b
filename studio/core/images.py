"""The door through which every image enters, and the ways between images and tensors.

PNG, JPEG, WebP and GIF (first frame) from anyone become plain sRGB: sizes are checked before pixels are decoded, EXIF
rotation is applied, 16 bits are rescaled to 8, CMYK, palettes and embedded profiles are converted, alpha is composited
or kept on purpose, and no EXIF, GPS or text stays. Whatever the bytes are, only ImageError escapes.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from studio.core.colour import as_rgb, split_alpha, turn_of
from studio.core.decode import PNG, Source, check_size, decode, open_header, read_source
from studio.core.errors import ImageError, InvalidRequest, StudioError
from studio.core.recipe import encode_png, read_recipe, save_png
from studio.core.sheet import tile

__all__ = [
    "Source",
    "encode_png",
    "open_image",
    "read_recipe",
    "reflected",
    "save_png",
    "square",
    "tile",
    "to_image",
    "to_tensor",
    "to_uint8",
]


def open_image(
    source: Source,
    *,
    max_side: int = 8192,
    max_pixels: int = 16_000_000,
    alpha: Literal["composite", "keep"] = "composite",
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """An image from a path, bytes or a binary file, as sRGB in mode RGB, without metadata.

    alpha: "composite" puts transparent pixels over ``background``; "keep" returns mode RGBA where the source has
    transparency. Raises ImageError, one sentence, for what is not readable or larger than max_side or max_pixels.
    """
    name, data = read_source(source)
    image = open_header(name, data)
    check_size(name, image.size, max_side, max_pixels)
    decode(name, image)
    check_size(name, image.size, max_side, max_pixels)  # a GIF's first frame can be larger than its header says
    depth = data[24] if data.startswith(PNG) else 8
    try:
        turn = turn_of(image)
        colour, opacity = split_alpha(image, depth)
        rgb = as_rgb(colour, image.info.get("icc_profile"))
        if opacity is not None and alpha == "keep":
            rgb.putalpha(opacity)
        elif opacity is not None:
            rgb = Image.composite(rgb, Image.new("RGB", rgb.size, background), opacity)
        upright = rgb.copy() if turn is None else rgb.transpose(turn)
    except Exception as error:  # as in decode: on bytes from anyone, Pillow raises errors of every type
        raise ImageError(f"{name} holds colours that cannot be converted to sRGB; save it again.") from error
    upright.info = {}
    return upright


def to_tensor(image: Image.Image) -> Tensor:
    """An image → (3,H,W) float32 in [-1,1]; 0 → -1 and 255 → 1."""
    pixels = np.array(image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).div(127.5).sub(1.0).contiguous()


def to_uint8(batch: Tensor) -> npt.NDArray[np.uint8]:
    """(B,3,H,W) in [-1,1], values outside clipped → (B,H,W,3) uint8. The inverse of to_tensor."""
    batch = batch.detach()
    if not math.isfinite(batch.sum(dtype=torch.float32)):  # one pass; any NaN or infinity shows in the sum
        raise StudioError("The model gave values that are not numbers; try another seed or another model.")
    scaled = batch.to(torch.float32).mul(127.5).add_(128.0)  # 0…255 plus the half by which truncation rounds
    levels = scaled.clamp_(0.0, 255.0).to(torch.uint8)
    pixels: npt.NDArray[np.uint8] = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def to_image(tensor: Tensor) -> Image.Image:
    """(3,H,W) in [-1,1], values outside clipped → an image in mode RGB."""
    return Image.fromarray(to_uint8(tensor[None])[0])


def square(image: Image.Image, size: int) -> Image.Image:
    """The largest centred square, resized to size × size pixels (Lanczos)."""
    if size < 1:
        raise InvalidRequest(f"A square of {size} pixels is too small; ask for at least 1.")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side))


def reflected(image: Image.Image, size: int) -> Image.Image:
    """The whole image with a long side of `size` pixels (Lanczos), its edges reflected to fill size × size pixels."""
    if size < 1:
        raise InvalidRequest(f"A square of {size} pixels is too small; ask for at least 1.")
    factor = size / max(image.size)
    width, height = (max(1, min(size, round(side * factor))) for side in image.size)
    pixels = np.array(image.resize((width, height), Image.Resampling.LANCZOS))
    gaps = [((size - side) // 2, size - side - (size - side) // 2) for side in (height, width)]
    return Image.fromarray(np.pad(pixels, [*gaps, *[(0, 0)] * (pixels.ndim - 2)], mode="symmetric"))
