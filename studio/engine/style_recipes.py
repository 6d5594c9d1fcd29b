"""A stylised picture's recipe: the request that made it, as JSON; and back, from a stranger's file."""

from collections.abc import Mapping
from typing import Any

import studio
from studio.core.errors import InvalidRequest
from studio.engine.requests import refuse_deep
from studio.engine.style_requests import StylizeRequest
from studio.engine.styled import RestoredStyle

VERB = "stylize"
KEYS = ("atelier", "verb", "models", "request", "steps")


def recipe(request: StylizeRequest, hashes: Mapping[str, str], steps: int) -> dict[str, Any]:
    """What a saved picture says of itself. hashes: of the models by name. steps: really done, 0 for an instant one."""
    return dict(zip(KEYS, (studio.__version__, VERB, dict(hashes), request.to_json(), steps), strict=True))


def restore(recipe: Mapping[str, Any], hashes: Mapping[str, str]) -> RestoredStyle:
    """What an untrusted recipe asks for. hashes: of the models that are here. Raises InvalidRequest, one sentence."""
    refuse_deep(recipe)
    missing = next((key for key in KEYS if key not in recipe), None)
    if missing is not None:
        raise InvalidRequest(f"The recipe lacks {missing!r}, so the picture was not made by this studio.")
    request, models = recipe["request"], recipe["models"]
    if not isinstance(request, Mapping) or not all(isinstance(key, str) for key in request):
        raise InvalidRequest("The recipe holds no request; choose the settings by hand.")
    if not isinstance(models, Mapping):
        raise InvalidRequest("The recipe does not say which models made the picture; choose the settings by hand.")
    changed = [name for name, sha256 in hashes.items() if name in models and models[name] != sha256]
    notice = (
        f"The {changed[0]} has changed since this picture was made, so the picture may differ." if changed else None
    )
    return RestoredStyle(StylizeRequest(**request), notice)
