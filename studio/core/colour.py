"""Whatever a decoded image holds → 8-bit sRGB and, apart from it, alpha."""

import contextlib
import io

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE = 8 << 20  # bytes
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}  # Pillow mode → colour space of a profile
_TURNS = {  # EXIF orientation → what brings the image upright (CIPA DC-008, tag 0x0112)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """The turn that the EXIF orientation asks for, None where there is none. Damaged EXIF asks for nothing."""
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # the parser raises errors of every type; an image is more than its EXIF
        return None


def split_alpha(image: Image.Image, depth: int) -> tuple[Image.Image, Image.Image | None]:
    """Colour in mode RGB, L or CMYK with 8 bits, and alpha in mode L or None where there is no transparency.

    depth: bits a sample as stored, by which the transparent colour of a PNG is scaled.
    """
    if image.mode in ("RGBA", "LA"):
        bands = image.split()
        return (Image.merge("RGB", bands[:3]) if image.mode == "RGBA" else bands[0]), bands[-1]
    if image.mode in ("P", "PA"):
        rgba = image.convert("RGBA")  # looks the transparent entries up
        has_alpha = image.mode == "PA" or "transparency" in image.info or image.palette.mode == "RGBA"  # type: ignore[union-attr]
        return rgba.convert("RGB"), (rgba.getchannel("A") if has_alpha else None)
    alpha = _keyed_alpha(image, depth)
    if image.mode.startswith("I"):  # 16-bit grey: 65535 → 255
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)), alpha
    if image.mode == "1":
        return image.convert("L"), alpha
    if image.mode in _SPACES:
        return image, alpha
    return image.convert("RGB"), alpha


def _keyed_alpha(image: Image.Image, depth: int) -> Image.Image | None:
    """Alpha of an image one of whose colours is declared transparent (PNG's tRNS chunk, GIF's transparent grey)."""
    key = image.info.get("transparency")
    if isinstance(key, tuple) and image.mode == "RGB" and len(key) == 3:
        colour = np.array([sample >> 8 if depth == 16 else sample for sample in key])
        matches = (np.asarray(image) == colour).all(axis=2)
    elif isinstance(key, int) and image.mode == "1":
        matches = np.asarray(image) == (key > 0)
    elif isinstance(key, int) and image.mode == "L":
        matches = np.asarray(image) == key * 255 // (2 ** min(depth, 8) - 1)
    elif isinstance(key, int) and image.mode.startswith("I"):
        matches = np.asarray(image) == key
    else:
        return None
    return Image.fromarray(np.where(matches, 0, 255).astype(np.uint8))


def as_rgb(image: Image.Image, profile: object) -> Image.Image:
    """RGB, L or CMYK → sRGB in mode RGB, through the embedded profile where it is sound and fits the mode.

    A profile that is damaged, or that belongs to another colour space, is left out, as browsers do.
    """
    if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE:
        with contextlib.suppress(Exception):  # the parser of profiles raises errors of every type
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == _SPACES[image.mode]:
                converted = ImageCms.profileToProfile(
                    image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
                )
                if converted is not None:
                    return converted
    return image.convert("RGB")
