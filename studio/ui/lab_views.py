"""The Lab's HTML: models side by side, the critic's bars, two pictures beside each other, a run at work."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from PIL import Image

from studio.engine import ModelInfo, Sample
from studio.ui.pictures import data_uri
from studio.ui.style_views import reduced

SHOWN = 640  # px, long side of a picture that is judged or found
QUALITIES = {"kid": "KID", "fid": "FID", "precision": "precision", "recall": "recall", "diversity-ratio": "diversity"}
WIDTH, HEIGHT = 300, 90  # of the drawing of the curves
MAX_CURVES = 6


def quality(info: ModelInfo) -> list[str]:
    """A model's measured quality, as its file tells it: "KID 0.016 · FID 14 (by vgg16)", a text for each judge."""
    found: dict[str, list[str]] = {}
    for start, name in QUALITIES.items():
        for metric, value in sorted(info.metrics.items()):
            features = re.fullmatch(rf"{start}-([a-z0-9]+)", metric)
            if features is not None and features[1] not in ("lpips", "deviation", "ratio"):
                found.setdefault(features[1], []).append(f"{name} {value:.2g}")
    return [f"{' · '.join(figures)} (by {judge})" for judge, figures in found.items()]


def side_by_side(rows: Sequence[tuple[ModelInfo, Sequence[Sample]]]) -> str:
    """A row of pictures a model, the same seeds in each column."""
    if not rows:
        return '<p class="lab-empty">Choose two to four models: the same seeds appear side by side.</p>'
    seeds = "".join(f"<span>{sample.seed}</span>" for sample in rows[0][1])
    head = f'<div class="seeds" aria-hidden="true">{seeds}</div>'
    columns = f"--columns:{max(len(samples) for _, samples in rows)}"
    return f'<div class="beside" style="{columns}">{head}{"".join(_row(info, shown) for info, shown in rows)}</div>'


def _row(info: ModelInfo, samples: Sequence[Sample]) -> str:
    name = escape(info.name)
    facts = " · ".join([info.kind, f"{info.resolution} px", f"{info.parameters / 1e6:.1f} M parameters"])
    measured = " · ".join(quality(info)) or "not measured yet"
    button = f'<button type="button" data-act="card" data-key="{name}" aria-label="Card of {name}">Card</button>'
    images = "".join(
        f'<img src="{data_uri(sample.image)}" alt="Seed {sample.seed} by {name}" draggable="false">'
        for sample in samples
    )
    return (
        f'<section aria-label="{name}"><header><h3>{name}</h3><p>{escape(facts)}</p><p>{escape(measured)}</p>'
        f'{button if info.card else ""}</header><div class="samples">{images}</div></section>'
    )


def card(info: ModelInfo) -> str:
    """A model's card as Markdown that asks for nothing."""
    return harmless(info.card or f"# {info.name}\n\nThis model has no card.")


def harmless(text: str) -> str:
    """Markdown without markup of its own, of pictures the words, and without links into folders that are not served.

    The page's Markdown is sanitised besides; a picture in it would still be fetched, from wherever the text says.
    """
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).replace("<", "&lt;")
    text = re.sub(r"!\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])?", r"*\1*", text).replace("![", "[")
    return re.sub(r"\[([^\]]*)\]\((?!https?://)[^)]*\)", r"\1", text)


def drop_place(label: str, words: str) -> str:
    """Where a picture goes. label: of the upload button that takes it."""
    return f'<div class="lab-empty" data-drop="{escape(label)}"><p>{escape(words)}</p></div>'


def pair(images: Sequence[tuple[Image.Image, str]], note: str, label: str = "") -> str:
    """Pictures beside each other, each with a name. label: of the upload button that takes what is dropped on them."""
    shown = "".join(
        f'<div><img src="{data_uri(reduced(image, SHOWN))}" alt="{escape(name)}" draggable="false">'
        f"<span>{escape(name)}</span></div>"
        for image, name in images
    )
    return (
        f'<figure class="lab-pair" data-drop="{escape(label)}"><div class="sides">{shown}</div>'
        f'<figcaption role="status">{escape(note)}</figcaption></figure>'
    )


def bars(shares: Mapping[str, float], chosen: str) -> str:
    """A bar and a figure for each class, each a button that shows where the class is seen."""
    rows = "".join(
        f'<li><button type="button" data-act="choose" data-key="{escape(name)}" '
        f'aria-pressed="{"true" if name == chosen else "false"}" title="Show where {escape(name)} is seen">'
        f'<span class="what">{escape(name)}</span><span class="bar" aria-hidden="true">'
        f'<i style="width:{100 * share:.1f}%"></i></span><span class="share">{100 * share:.1f} %</span></button></li>'
        for name, share in shares.items()
    )
    return f'<ol class="lab-bars" aria-label="What the critic sees">{rows}</ol>' if shares else ""


def curves(lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Losses over pictures seen, each on its own scale from its least to its largest. lines: (pictures, value)."""
    drawn = [(name, points) for name, points in lines.items() if len(points) > 1][:MAX_CURVES]
    if not drawn:
        return ""
    paths = "".join(
        f'<polyline class="c{index}" points="{_points(points)}"/>' for index, (_, points) in enumerate(drawn)
    )
    keys = "".join(
        f'<li class="c{index}">{escape(name)} {points[-1][1]:.3g}</li>' for index, (name, points) in enumerate(drawn)
    )
    words = ", ".join(f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in drawn)
    return (
        f'<figure class="lab-curves"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="Losses: {escape(words)}">{paths}</svg><ul>{keys}</ul></figure>'
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    first, last = points[0][0], points[-1][0]
    values = [value for _, value in points]
    low, span = min(values), (max(values) - min(values)) or 1.0
    return " ".join(
        f"{WIDTH * (x - first) / ((last - first) or 1.0):.1f},{HEIGHT - 2 - (HEIGHT - 4) * (value - low) / span:.1f}"
        for x, value in points
    )
