"""What goes to the artist's downloads: small files travel in the page's own messages and leave none on the server."""

import base64
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from studio.core.images import encode_png, save_png
from studio.ui.film import cache_folder


def letter(name: str, image: Image.Image, recipe: Mapping[str, Any] | None) -> dict[str, str]:
    """A PNG to be saved under a name. The stamp makes the page notice a second download of the same picture."""
    data = base64.b64encode(encode_png(image, recipe)).decode()
    return {"name": file_name(name), "href": f"data:image/png;base64,{data}", "stamp": secrets.token_hex(4)}


def packet(name: str, data: bytes) -> dict[str, str]:
    """As letter, of a file that is no picture; for those of a few megabytes."""
    address = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
    return {"name": file_name(name), "href": address, "stamp": secrets.token_hex(4)}


def parcel(name: str, image: Image.Image, recipe: Mapping[str, Any] | None) -> dict[str, str]:
    """As letter, by way of a file among those that gradio serves and clears by their age: for large pictures."""
    file = Path(tempfile.mkdtemp(prefix="parcel-", dir=cache_folder())) / "picture.png"
    save_png(image, file, recipe)
    return {"name": file_name(name), "href": f"gradio_api/file={file.as_posix()}", "stamp": secrets.token_hex(4)}


def file_name(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.,~×-]+", "-", name).strip("-.")[-120:]
