"""The endpoint /stylize. The parameters are named as on the command line; pictures come as files."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.core import words
from studio.core.errors import InvalidRequest
from studio.engine import Engine, StylizeRequest
from studio.engine.style_requests import ENCODERS, STARTS, STEPS
from studio.ui.handlers import Raw

SCHEMAS: Mapping[str, dict[str, Any]] = {
    "content": {"description": "The photo, as a file."},
    "styles": {"description": "Style pictures, as files."},
    "masterworks": {"description": 'Names as ["hokusai-great-wave"] or as "hokusai-great-wave,…".'},
    "weights": {"description": "A weight for each of the styles, then for each of the masterworks: [0.7, 0.3]."},
    "practice": {"type": "integer", "description": "Steps that the codes of the styles practise first, 0 to 200."},
    "size": {"type": "integer"},
    "fast": {"type": "boolean"},
    "style_weight": {"type": "number"},
    "content_weight": {"type": "number"},
    "style_scale": {"type": "number"},
    "preserve_color": {"type": "string"},
    "mask": {"description": "White where the style goes, black where the photo stays, as a file."},
    "steps": {"type": "integer"},
    "similarity": {"description": 'Names as ["gram", "mean_std"], or weights as {"gram": 1, "mean_std": 0.5}.'},
    "optimizer": {"type": "string"},
    "learning_rate": {"description": "A number; none for the optimizer's own."},
    "tv": {"type": "number"},
    "start": {"type": "string", "enum": list(STARTS)},
    "encoder": {"type": "string", "enum": list(ENCODERS)},
}
FILES: Mapping[str, dict[str, Any]] = {"content": {}, "styles": {"file_count": "multiple"}, "mask": {}}


def stylize(engine: Engine, folder: Callable[[], Path]) -> Callable[..., Iterator[str | None]]:
    """The endpoint's answer. folder: makes one for the file."""

    def stylize(
        content: Raw,
        styles: Raw = None,
        masterworks: Raw = "",
        weights: Raw = None,
        practice: Raw = 0,
        size: Raw = 512,
        fast: Raw = False,
        style_weight: Raw = 1.0,
        content_weight: Raw = 0.5,
        style_scale: Raw = 1.0,
        preserve_color: Raw = "none",
        mask: Raw = None,
        steps: Raw = STEPS,
        similarity: Raw = "gram",
        optimizer: Raw = "lbfgs",
        learning_rate: Raw = None,
        tv: Raw = 0.0,
        start: Raw = "instant",
        encoder: Raw = "builtin",
        seed: Raw = 0,
    ) -> Iterator[str | None]:
        """The content picture in the hand of the styles, as a PNG that carries its recipe. Nothing comes before it."""
        if not content:
            raise InvalidRequest("content is missing; send the photo as a file.")
        pictures = engine.pictures()
        names = words.names(masterworks) if isinstance(masterworks, str) else masterworks or []
        sources: list[dict[str, Raw]] = [{"picture": pictures.add(file), "practice": practice} for file in styles or []]
        sources += [{"masterwork": name} for name in names]
        shares = _weights(weights, len(sources))
        chosen: Raw = [{**source, "weight": weight} for source, weight in zip(sources, shares, strict=True)]
        compared: Raw = words.names(similarity) if isinstance(similarity, str) else similarity
        request = StylizeRequest(
            content=pictures.add(content),
            styles=chosen,
            mask=pictures.add(mask) if mask else None,
            size=size,
            fast=fast,
            style_weight=style_weight,
            content_weight=content_weight,
            style_scale=style_scale,
            preserve_color=preserve_color,
            steps=steps,
            similarity=compared,
            optimizer=optimizer,
            learning_rate=learning_rate,
            tv=tv,
            start=start,
            encoder=encoder,
            seed=seed,
        )
        for progress in engine.stylize(request, pictures):
            if progress.result is None:
                yield None
                continue
            file = folder() / "stylized.png"
            progress.result.save(file, engine.settings.keep_recipe)
            yield str(file)

    return stylize


def _weights(weights: Raw, count: int) -> list[Any]:
    if not weights:
        return [1.0] * count
    if not isinstance(weights, list) or len(weights) != count:
        raise InvalidRequest(f"There are {count} styles, so weights must be a list of {count} numbers.")
    return weights
