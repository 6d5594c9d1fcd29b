"""Pictures as HTML: each with its seed, an alternative text and a key by which a click names it.

What is shown on the way is JPEG in the page itself: no file is written and no second request made, so that a picture
follows a slider. Everything that comes from a file or a person is escaped.
"""

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from studio.engine import ClassGrid, Mix, Moved, Own, Picture, Sample, Variation

QUALITY = 92
MAX_CAPTION = 26  # characters
FOLLOWS = 'data-follows="stage"'  # where the page marks the picture that the stage names; see pictures.js


def data_uri(image: Image.Image) -> str:
    """A preview of the image as JPEG, without chroma subsampling, in a data: address."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def key(picture: Picture) -> str:
    """A short name for a picture's lineage, the same in the page and on the server."""
    return hashlib.blake2s(picture.model_dump_json().encode(), digest_size=8).hexdigest()


def caption(picture: Picture) -> str:
    """Where a picture comes from, in a few signs: 7, a variation 7~3, a mix 7×12, moved 7→pca, one's own "own"."""
    if isinstance(picture, Variation):
        text = f"{caption(picture.of)}~{picture.seed}"
    elif isinstance(picture, Mix):
        text = "×".join(caption(part) for part in picture.mix)
    elif isinstance(picture, Moved):
        text = f"{caption(picture.moved)}→{picture.along.name or picture.along.kind}"
    else:
        text = "own" if isinstance(picture, Own) else str(picture.seed)
    return text if len(text) <= MAX_CAPTION else f"{text[: MAX_CAPTION - 1]}…"


def description(picture: Picture) -> str:
    """A picture's lineage in words, for those who hear the page."""
    if isinstance(picture, Variation):
        return f"variation {picture.seed} of {description(picture.of)}, radius {picture.radius:.2g}"
    if isinstance(picture, Mix):
        first, second = map(description, picture.mix)
        return f"{first} with the {' and '.join(picture.groups)} style of {second}"
    if isinstance(picture, Moved):
        direction = picture.along.name or f"{picture.along.kind} {picture.along.index}"
        return f"{description(picture.moved)}, moved {picture.amount:.2g} along {direction}"
    named = blend(picture)
    origin = "a picture of your own" if isinstance(picture, Own) else f"seed {picture.seed}"
    return f"{origin}{f', {named}' if named else ''}"


def blend(picture: Picture) -> str:
    """The classes of a picture in words: "landscape", or "landscape 70 %, seascape 30 %"."""
    if isinstance(picture, Moved):
        return blend(picture.moved)
    if isinstance(picture, Variation | Mix):
        return blend(picture.of if isinstance(picture, Variation) else picture.mix[0])
    weights = (picture.classes or picture.found) if isinstance(picture, Own) else picture.classes
    total = sum(weights.values()) or 1.0
    shares = sorted(((weight / total, name) for name, weight in weights.items() if weight), reverse=True)
    if len(shares) == 1:
        return shares[0][1]
    return ", ".join(f"{name} {share:.0%}" for share, name in shares)


@dataclass(frozen=True)
class Card:
    """A picture as it lies on the table: its lineage and a preview of it."""

    picture: Picture
    source: str

    @classmethod
    def of(cls, sample: Sample) -> "Card":
        """The card of a sample."""
        return cls(sample.picture, data_uri(sample.image))


def _image(picture: Picture, source: str) -> str:
    return f'<img src="{source}" alt="Picture of {escape(description(picture))}" draggable="false">'


def _button(act: str, name: str, sign: str, label: str) -> str:
    text = escape(label)
    return (
        f'<button type="button" data-act="{act}" data-key="{name}" aria-label="{text}" title="{text}">{sign}</button>'
    )


def _pick(card: Card) -> str:
    label = escape(f"Look at {description(card.picture)}")
    return (
        f'<button type="button" class="picture" data-act="pick" data-key="{key(card.picture)}" title="{label}" '
        f'aria-pressed="false">{_image(card.picture, card.source)}</button>'
    )


def _on_wall(card: Card) -> str:
    name, text = key(card.picture), caption(card.picture)
    return (
        f'<div class="card">{_pick(card)}<div class="below"><span>{escape(text)}</span>'
        f"{_button('second', name, '◐', f'Mix with {text}')}{_button('gather', name, '+', f'Add {text} to the walk')}"
        "</div></div>"
    )


def wall(cards: Sequence[Card], total: int) -> str:
    """The grid of pictures; places not yet painted are kept free. The page marks the one that the stage names."""
    columns = _columns(max(total, 1))
    hung = "".join(map(_on_wall, cards))
    free = '<div class="card"><div class="free"></div><div class="below"></div></div>' * (total - len(cards))
    return (
        f'<div class="wall" {FOLLOWS} style="--columns:{columns}" role="group" aria-label="Pictures">{hung}{free}</div>'
    )


def _columns(total: int) -> int:
    return next((side for side in range(1, 8) if side * side >= total), 8)


def stage(card: Card, note: str = "") -> str:
    """The current picture, large. note: what stands beside its seed."""
    named = blend(card.picture)
    return (
        f'<figure class="stage" data-key="{key(card.picture)}">{_image(card.picture, card.source)}<figcaption>'
        f"<b>{escape(caption(card.picture))}</b><span>{escape(' · '.join(filter(None, (named, note))))}</span>"
        "</figcaption></figure>"
    )


def row(cards: Iterable[Card], kind: str) -> str:
    """Small pictures in a line. kind: "recent" to go back to, or "strip", which can be reordered."""
    strip = kind == "strip"
    return (
        f'<div class="line {kind}"{"" if strip else f" {FOLLOWS}"} role="group" aria-label="{kind}">'
        + "".join(f'<div class="card">{_pick(card)}{_order(card) if strip else ""}</div>' for card in cards)
        + "</div>"
    )


def _order(card: Card) -> str:
    name, text = key(card.picture), caption(card.picture)
    return (
        f'<div class="below">{_button("earlier", name, "‹", f"Move {text} earlier")}<span>{escape(text)}</span>'
        f"{_button('later', name, '›', f'Move {text} later')}{_button('discard', name, '×', f'Take {text} out')}</div>"
    )


def second(card: Card | None) -> str:
    """The other picture of a mix, as a button that puts the current picture there."""
    label = "Put the current picture here, to mix with another"
    filled = "◐" if card is None else _image(card.picture, card.source)
    name = "" if card is None else f"<span>{escape(caption(card.picture))}</span>"
    return (
        f'<div class="second"><button type="button" data-act="hold" data-key="" aria-label="{label}" title="{label}">'
        f"{filled}</button>{name}</div>"
    )


def class_grid(rows: Sequence[str], seeds: Sequence[int], cards: Sequence[Card]) -> str:
    """Classes × seeds, labelled on both axes; cards come row by row, and may not be all there yet."""
    head = "".join(f'<th scope="col">{seed}</th>' for seed in seeds)
    body = ""
    for index, name in enumerate(rows):
        cells = [_pick(card) for card in cards[index * len(seeds) : (index + 1) * len(seeds)]]
        cells += ['<div class="free"></div>'] * (len(seeds) - len(cells))
        body += f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    sides = f"--rows:{max(len(rows), 1)};--columns:{max(len(seeds), 1)}"
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="classes" {FOLLOWS} style="{sides}">{table}</div>'


def grid_cards(grid: ClassGrid) -> list[Card]:
    """The cards of a finished grid, row by row."""
    return [Card.of(sample) for line in grid.samples for sample in line]
