"""The models on the shelf: which can be chosen, what each is, and why some cannot be used."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any

from studio.core.errors import StudioError
from studio.engine import Engine, ModelInfo
from studio.settings import Settings

ANY = ""  # a class drawn for each seed
MIXTURE = "\0mixture"  # the mixture of the Classes tab


def usable(models: Sequence[ModelInfo]) -> list[str]:
    """Names of the models that can paint."""
    return [info.name for info in models if info.error is None]


def choices(models: Sequence[ModelInfo], held: Sequence[ModelInfo] = ()) -> list[tuple[str, str]]:
    """What the list of models offers, as (label, value): first the session's own adapters, which no one else sees."""
    return [*((f"{info.title} · not kept", info.name) for info in held), *((name, name) for name in usable(models))]


def offered(engine: Engine, held: Sequence[str], models: Sequence[ModelInfo] | None = None) -> list[tuple[str, str]]:
    """What the list of models offers to a session that holds some adapters, as far as they are held still.

    models: those of the shelf, where they were just read.
    """
    own = []
    for reference in held:
        with suppress(StudioError):
            own.append(engine.info(reference))
    return choices(engine.models() if models is None else models, own)


def best(models: Sequence[ModelInfo]) -> str | None:
    """The model that the page opens with: no adapter where there is another, the largest pictures, then one with
    classes and with a measured quality, then the most classes."""

    def rank(info: ModelInfo) -> tuple[bool, int, bool, bool, int]:
        return not info.base, info.resolution, bool(info.classes), bool(info.metrics), len(info.classes)

    able = [info for info in models if info.error is None]
    return max(able, key=rank).name if able else None


def broken(models: Sequence[ModelInfo]) -> str:
    """The files that cannot be used, one sentence each; nothing where all is well."""
    lines = [f"<li><b>{escape(info.name)}</b> {escape(info.error)}</li>" for info in models if info.error is not None]
    return f'<ul class="broken" role="alert">{"".join(lines)}</ul>' if lines else ""


def empty(settings: Settings) -> str:
    """What to do where there is no model at all."""
    folders = " or ".join(f"<code>{escape(str(folder))}</code>" for folder in (settings.checkpoints, settings.models))
    where = "" if settings.profile == "public" else f" into {folders}"
    return (
        '<div class="empty"><h2>No model to paint with yet</h2>'
        f"<p>Put a checkpoint (name.safetensors){where}, or train one on pictures of your own:</p>"
        "<pre>studio train gan --data my-pictures/ --out mine.safetensors</pre>"
        "<p>Then press <b>↻</b> beside the list of models.</p></div>"
    )


def about(info: ModelInfo) -> str:
    """A model in a line, its card below as plain text. The style sheet shows and hides tools by the data-attributes."""
    facts = [info.kind, f"{info.resolution} px", f"{info.parameters / 1e6:.1f} M parameters"]
    facts += [f"{len(info.classes)} classes"] if info.classes else []
    facts += [f"adapted from {info.base}"] if info.base else []
    facts += [f"{name} {value:.2g}" for name, value in sorted(info.metrics.items()) if re.fullmatch(r"kid-\w+", name)]
    line = f'<span class="facts">{escape(" · ".join(facts))}</span>'
    can = f' data-layers="{info.layers}" data-classes="{len(info.classes)}" data-adapts="{int(bool(info.base))}"'
    if not info.card:
        return f'<div class="about"{can}>{line}</div>'
    return f'<details class="about"{can}><summary>{line}</summary><pre>{escape(info.card)}</pre></details>'


def without_classes(info: ModelInfo) -> str:
    """Why the Classes tab is empty for a model; nothing where it is not."""
    if info.classes:
        return ""
    return f'<p class="quiet">{escape(info.name)} has no classes. Choose a model that has, above.</p>'


def class_choices(info: ModelInfo) -> list[tuple[str, str]]:
    """What the list of classes offers, as (label, value)."""
    if not info.classes:
        return [("This model has none", ANY)]
    classes = [(name, name) for name in info.classes]
    if info.base:  # without a class it paints its own
        return [*reversed(classes), ("My mixture", MIXTURE)]
    return [("Any, by seed", ANY), *classes, ("My mixture", MIXTURE)]


def first_choice(info: ModelInfo) -> str:
    """What the list of classes shows at first: an adapter's own class, else any."""
    return info.classes[-1] if info.base and info.classes else ANY


def chosen_weights(kind: object, mixture: object) -> dict[str, Any]:
    """The weights that a choice in the list of classes means."""
    if kind == MIXTURE:
        return mixture_weights(mixture)
    return {str(kind): 1.0} if kind else {}


def mixture_weights(mixture: object) -> dict[str, Any]:
    """The weights above zero that the mixer sends; whatever else comes is left to the request to refuse."""
    weights = mixture.get("weights") if isinstance(mixture, Mapping) else None
    return (
        {str(name): weight for name, weight in weights.items() if weight != 0} if isinstance(weights, Mapping) else {}
    )


def mixture_of(info: ModelInfo, weights: Mapping[str, float] | None = None) -> dict[str, dict[str, float]]:
    """What the mixer shows for a model: the given weights where they name its classes, else one class alone: the
    first, or an adapter's own."""
    known = {name: float((weights or {}).get(name, 0.0)) for name in info.classes}
    largest = max(known.values(), default=0.0)
    if largest > 0:
        return {"weights": {name: weight / largest for name, weight in known.items()}}
    alone = first_choice(info) or next(iter(info.classes), "")
    return {"weights": {name: float(name == alone) for name in info.classes}}
