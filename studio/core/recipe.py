"""A picture leaves with its recipe: a PNG whose text chunk "atelier" holds the request as JSON."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from studio.core.decode import PNG, Source, open_header, read_source
from studio.core.errors import ImageError, InvalidRequest
from studio.core.files import atomic_write, output_error
from studio.core.strict_json import JSONRefused, parse_object

KEY = "atelier"
MAX_RECIPE = 256 << 10  # bytes; a picture of one's own takes some 50 kB of them
MAX_DEPTH = 32
END = b"IEND"  # the last chunk of every whole PNG


def encode_png(image: Image.Image, recipe: Mapping[str, Any] | None = None) -> bytes:
    """The image as PNG, with the recipe in its text chunk and no other metadata."""
    chunks = PngImagePlugin.PngInfo()
    if recipe is not None:
        chunks.add_text(KEY, _recipe_text(recipe))
    plain = image.copy() if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")
    plain.info = {}
    buffer = io.BytesIO()
    plain.save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def save_png(image: Image.Image, target: Path | str | BinaryIO, recipe: Mapping[str, Any] | None = None) -> None:
    """Write the image with its recipe; a path gets the whole file or none. Raises OutputError where it cannot."""
    data = encode_png(image, recipe)
    if isinstance(target, (str, Path)):
        with atomic_write(target) as temporary:
            temporary.write_bytes(data)
        return
    try:
        target.write(data)
    except OSError as error:
        raise output_error("the image", error) from error


def read_recipe(source: Source) -> dict[str, Any] | None:
    """The recipe in a PNG, None where there is none.

    What comes back is well-formed JSON from a stranger: its meaning is for the caller to validate. Raises ImageError
    for what is not a PNG that we can read or has been cut off, and for a recipe that is damaged or larger than
    MAX_RECIPE.
    """
    name, data = read_source(source)
    if not data.startswith(PNG):
        raise ImageError(f"{name} is not a PNG; only the PNG files that the studio saves hold a recipe.")
    text = open_header(name, data).info.get(KEY)
    if not isinstance(text, str):
        if END not in data:
            raise ImageError(f"{name} ends in the middle, and no recipe is left in it; take a whole copy of it.")
        return None
    try:
        return parse_object(text, max_bytes=MAX_RECIPE, max_depth=MAX_DEPTH)
    except JSONRefused as error:
        raise ImageError(f"{name} holds a recipe that cannot be used: it {error}.") from error


def _recipe_text(recipe: Mapping[str, Any]) -> str:
    """The recipe as ASCII JSON, which is what read_recipe accepts."""
    try:
        text = json.dumps(dict(recipe), allow_nan=False, separators=(",", ":"))
        parse_object(text, max_bytes=MAX_RECIPE, max_depth=MAX_DEPTH)
    except JSONRefused as error:
        raise InvalidRequest(f"The recipe cannot be saved with the picture: it {error}.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"The recipe cannot be saved with the picture: it is not JSON ({error}).") from error
    return text
