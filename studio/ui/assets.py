"""The page's own style sheet, scripts, pictures and sign, which lie beside this file."""

import base64
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def script(name: str) -> str:
    """A script, as text."""
    return (_HERE / name).read_text(encoding="utf-8")


def style_sheet(name: str = "studio.css") -> Path:
    """A style sheet's path."""
    return _HERE / name


def picture(name: str) -> str:
    """A picture of the page's own, WebP, in a data: address."""
    return f"data:image/webp;base64,{base64.b64encode((_HERE / name).read_bytes()).decode()}"


def favicon() -> Path:
    """The sign's path."""
    return _HERE / "favicon.svg"
