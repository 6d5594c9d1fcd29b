"""Bytes → a decoded Pillow image, for four formats, with its size checked before a pixel is decoded."""

import io
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from PIL import GifImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from studio.core.errors import ImageError
from studio.core.files import shown

Source = Path | str | bytes | BinaryIO

MAX_BYTES = 64 << 20
PNG = b"\x89PNG\r\n\x1a\n"
_READERS: tuple[tuple[bytes, Callable[[BinaryIO], ImageFile.ImageFile]], ...] = (
    # Opened by their own readers and not by Image.open, which warns or fails for large sizes before ours is checked.
    (PNG, PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
)
_FOREIGN = (
    (b"%!PS", "an EPS or PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop file"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"BM", "a BMP"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an SVG or another XML file"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
)
_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIC"}


def read_source(source: Source) -> tuple[str, bytes]:
    """What to call the source in a sentence, and its bytes, at most MAX_BYTES of them."""
    if isinstance(source, bytes):
        return "The image", _limited("The image", source)
    try:
        if isinstance(source, (str, Path)):
            name, path = shown(source), Path(source)
            if not stat.S_ISREG(path.stat().st_mode):
                raise ImageError(f"{name} is not a file; name an image.")
            with path.open("rb") as file:
                return name, _limited(name, file.read(MAX_BYTES + 1))
        name = "The image"
        data = source.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist.") from None
    except (OSError, ValueError, AttributeError) as error:
        raise ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not isinstance(data, bytes):
        raise ImageError("The image cannot be read: the source gives text and not bytes.")
    return name, _limited(name, data)


def _limited(name: str, data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name} is larger than {MAX_BYTES >> 20} MB; save it smaller.")
    if not data:
        raise ImageError(f"{name} is empty.")
    return data


def open_header(name: str, data: bytes) -> ImageFile.ImageFile:
    """The image with its header read and its pixels not yet decoded."""
    for signature, reader in _READERS:
        if data.startswith(signature) and (signature != b"RIFF" or data[8:12] == b"WEBP"):
            try:
                return reader(io.BytesIO(data))
            except Exception as error:  # decoders raise errors of every type on damaged files
                raise ImageError(f"{name} is truncated or damaged; save or copy it again.") from error
    raise ImageError(f"{name} is {_what(data)}; only PNG, JPEG, WebP and GIF are read: save it as one of these.")


def _what(data: bytes) -> str:
    """What a file that we do not read seems to be."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "a video or another media file")
    return next((what for start, what in _FOREIGN if data.lstrip().startswith(start)), "not an image that we know")


def check_size(name: str, size: tuple[int, int], max_side: int, max_pixels: int) -> None:
    """Refuse what is too large to decode. max_side: pixels; max_pixels: width × height."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels: it is {width} × {height}.")
    if max(size) > max_side:
        raise ImageError(f"{name} is {width} × {height} pixels; at most {max_side} a side are read: make it smaller.")
    if width * height > max_pixels:
        raise ImageError(
            f"{name} is {width} × {height} pixels, {width * height / 1e6:.1f} million; at most "
            f"{max_pixels / 1e6:.1f} million are read: make it smaller."
        )


def decode(name: str, image: ImageFile.ImageFile) -> None:
    """Decode the pixels (of the first frame) in place."""
    try:
        image.load()
    except Exception as error:  # as above
        raise ImageError(f"{name} is truncated or damaged; save or copy it again.") from error
