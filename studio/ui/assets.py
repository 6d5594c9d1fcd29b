"""The page's own style sheet, scripts and sign, which lie beside this file."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def script(name: str) -> str:
    """A script, as text."""
    return (_HERE / name).read_text(encoding="utf-8")


def style_sheet(name: str = "studio.css") -> Path:
    """A style sheet's path."""
    return _HERE / name


def favicon() -> Path:
    """The sign's path."""
    return _HERE / "favicon.svg"
