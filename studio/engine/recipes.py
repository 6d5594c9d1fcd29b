"""A picture's recipe: the request that made it, as JSON; and back, from a stranger's file."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import studio
from studio.core.errors import InvalidRequest, UnknownName
from studio.engine.requests import ClassesRequest, Picture, SampleRequest, as_picture, refuse_deep
from studio.engine.results import ModelInfo, Restored

REQUESTS: Mapping[str, type[SampleRequest] | type[ClassesRequest]] = {
    "sample": SampleRequest,
    "classes": ClassesRequest,
}
KEYS = ("atelier", "verb", "model", "sha256", "request", "picture")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def recipes(request: SampleRequest | ClassesRequest, name: str, sha256: str) -> Callable[[Picture], dict[str, Any]]:
    """A function from a picture of the request to its recipe.

    The recipe names the model, never its path. Of a request that lists pictures it keeps the one alone.
    """
    verb = "sample" if isinstance(request, SampleRequest) else "classes"
    listed = isinstance(request, SampleRequest) and request.pictures is not None
    plain = request.model_copy(update={"model": name, **({"pictures": None, "count": 1} if listed else {})}).to_json()

    def recipe(picture: Picture) -> dict[str, Any]:
        lineage = picture.model_dump(mode="json")
        settings = {**plain, "pictures": [lineage]} if listed else plain
        values = (studio.__version__, verb, name, sha256, settings, lineage)
        return dict(zip(KEYS, values, strict=True))

    return recipe


def restore(recipe: Mapping[str, Any], models: Iterable[ModelInfo]) -> Restored:
    """What an untrusted recipe asks for, with a model of ours: the one of the same content, else of the same name.

    Raises InvalidRequest, one sentence, for what is no recipe of ours, UnknownName where no model fits.
    """
    refuse_deep(recipe)
    missing = next((key for key in KEYS if key not in recipe), None)
    if missing is not None:
        raise InvalidRequest(f"The recipe lacks {missing!r}, so the picture was not made by this studio.")
    verb, name, sha256 = recipe["verb"], recipe["model"], recipe["sha256"]
    if not isinstance(verb, str) or verb not in REQUESTS:
        raise UnknownName("kind of recipe", verb, tuple(REQUESTS))
    if not isinstance(name, str) or not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        raise InvalidRequest("The recipe does not say which model made the picture; choose the settings by hand.")
    if not isinstance(recipe["request"], Mapping) or not all(isinstance(key, str) for key in recipe["request"]):
        raise InvalidRequest("The recipe holds no request; choose the settings by hand.")
    model, notice = _find(name, sha256, models)
    request = REQUESTS[verb](**{**recipe["request"], "model": model})
    return Restored(request=request, picture=as_picture(recipe["picture"]), notice=notice)


def _find(name: str, sha256: str, models: Iterable[ModelInfo]) -> tuple[str, str | None]:
    """The model to use, and a sentence where it is not the very same."""
    usable = [info for info in models if info.error is None]
    same = [info.name for info in usable if info.sha256 == sha256]
    if name in same:
        return name, None
    if same:
        return same[0], f"The model {name[:80]!r} of this picture is called {same[0]!r} here."
    if any(info.name == name for info in usable):
        return name, f"The model {name!r} has changed since this picture was made, so the picture may differ."
    raise UnknownName("model", name, tuple(info.name for info in usable))
