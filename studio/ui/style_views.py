"""The Style tab's pictures as HTML and as values of its scripts: photo, wall of styles, stage, curves, sheet."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

from studio.engine import Styled
from studio.ui import curves as drawing
from studio.ui.pictures import data_uri

THUMB = 96  # px, of a style in the palette
SHOWN = 1024  # px, long side of a picture on the stage
CURVES = {"total": "Total", "style": "Style", "content": "Content"}

STAGE = (
    '<figure class="compare" hidden><div class="frame"><img class="after" alt="" draggable="false">'
    '<img class="before" alt="The photo" draggable="false">'
    '<input type="range" min="0" max="100" value="0" aria-label="Uncover the photo"></div>'
    "<figcaption><b></b><span></span></figcaption></figure>"
    '<div class="nothing"><p>Choose a photo and a style: the picture appears here.</p></div>'
)
PALETTE = (
    '<div class="palette"><div class="rows"></div><p class="nothing quiet">Choose up to four on the wall.</p></div>'
)
BRUSH = (
    '<p class="nothing quiet">Choose a photo first; then paint over what shall stay as it is.</p>'
    '<div class="easel-mask" hidden><div class="paint"><img alt="The photo, to paint on"><canvas '
    'aria-label="Paint over what stays the photo"></canvas></div><div class="brushes">'
    '<button type="button" data-mask="draw" aria-pressed="true">Keep photo</button>'
    '<button type="button" data-mask="erase" aria-pressed="false">Style again</button>'
    '<label>Brush <input type="range" min="2" max="30" value="10" aria-label="Size of the brush"></label>'
    '<button type="button" data-mask="turn">Turn over</button>'
    '<button type="button" data-mask="clear">Clear</button></div></div>'
)


def reduced(image: Image.Image, side: int) -> Image.Image:
    """The image on white with a long side of at most so many pixels."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    if "A" in small.getbands():
        return Image.composite(small.convert("RGB"), Image.new("RGB", small.size, "white"), small.getchannel("A"))
    return small


def title(name: str) -> str:
    """A masterwork's name as people write it: "hokusai-great-wave" → "Hokusai great wave"."""
    text = name.replace("-", " ").replace("vangogh", "van Gogh")
    return text[:1].upper() + text[1:]


def photo(image: Image.Image | None, name: str = "") -> str:
    """The photo in the rail, or where it goes."""
    if image is None:
        return '<div class="photo empty-photo" data-drop="photo"><p>Drop a photo here, or choose one.</p></div>'
    alt = escape(f"The photo {name}")
    return f'<div class="photo" data-drop="photo"><img src="{data_uri(reduced(image, 320))}" alt="{alt}"></div>'


def wall(masters: Mapping[str, Image.Image], own: Mapping[str, Image.Image], names: Mapping[str, str]) -> str:
    """Every style that can be chosen: the artist's own first. own: by key, names: what they are called."""
    cards = [_card(key, image, names.get(key, "")) for key, image in own.items()]
    cards += [_card(key, image, names.get(key, "")) for key, image in masters.items()]
    return f'<div class="masters" role="group" aria-label="Styles" data-drop="style">{"".join(cards)}</div>'


def _card(key: str, image: Image.Image, name: str) -> str:
    text = escape(name)
    return (
        f'<div class="card"><button type="button" class="picture" data-act="choose" data-key="{escape(key)}" '
        f'title="{text}" aria-pressed="false"><img src="{thumb(image)}" alt="Style {text}" draggable="false"></button>'
        f'<div class="below"><span>{text}</span></div></div>'
    )


def thumb(image: Image.Image) -> str:
    """A small square of the image's middle, as an address."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return data_uri(reduced(image.crop((left, top, left + side, top + side)), THUMB))


def stage(after: Image.Image, before: Image.Image | None, caption: str, note: str = "") -> dict[str, Any]:
    """The value of the stage: the result, behind it the photo."""
    shown = reduced(after, SHOWN)
    return {
        "after": data_uri(shown),
        "before": None if before is None else data_uri(reduced(before, min(SHOWN, max(shown.size)))),
        "alt": f"{caption}. {note}".strip(),
        "caption": caption,
        "note": note,
    }


def brush(image: Image.Image | None, mask: str | None = None) -> dict[str, Any]:
    """The value of the mask's canvas."""
    if image is None:
        return {"source": None, "width": 0, "height": 0, "mask": None}
    small = reduced(image, 512)
    return {"source": data_uri(small), "width": small.width, "height": small.height, "mask": mask}


def curves(lines: Mapping[str, Sequence[float]]) -> str:
    """The losses at each step, on a scale from 0 to the largest of each, as a small drawing."""
    return drawing.curves(lines, CURVES, "Losses")


def sheet(names: Iterable[str], styled: Sequence[Styled], total: int) -> str:
    """The same pair under several similarities, each to be picked; places not yet painted are kept free."""
    cards = [
        f'<div class="card"><button type="button" class="picture" data-act="pick" data-key="{escape(name)}" '
        f'title="Go on with {label(name)}" aria-pressed="false"><img src="{data_uri(reduced(item.image, 320))}" '
        f'alt="The picture under {label(name)}" draggable="false"></button>'
        f'<div class="below"><span>{label(name)}</span></div></div>'
        for name, item in zip(names, styled, strict=False)
    ]
    free = '<div class="card"><div class="free"></div><div class="below"></div></div>' * (total - len(cards))
    group = '<div class="variants" role="group" aria-label="The pair under several similarities">'
    return f"{group}{''.join(cards)}{free}</div>"


def label(name: str) -> str:
    """A similarity's name as people read it."""
    return escape(name.replace("_", " "))
