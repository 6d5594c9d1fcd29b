"""A picture's recipe: the request that made it, as JSON; and back, from a stranger's file."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import studio
from studio.core.errors import InvalidRequest, UnknownName
from studio.engine.held import is_reference
from studio.engine.requests import ClassesRequest, Picture, SampleRequest, as_picture, refuse_deep
from studio.engine.results import ModelInfo, Restored

REQUESTS: Mapping[str, type[SampleRequest] | type[ClassesRequest]] = {
    "sample": SampleRequest,
    "classes": ClassesRequest,
}
KEYS = ("atelier", "verb", "model", "sha256", "request", "picture")
BASE = "base"  # of an adapter's pictures alone
UPSCALER = "upscaler"  # of enlarged pictures alone
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def recipes(
    request: SampleRequest | ClassesRequest,
    name: str,
    sha256: str,
    base: str | None = None,
    upscaler: str | None = None,
) -> Callable[[Picture], dict[str, Any]]:
    """A function from a picture of the request to its recipe. base: sha256 of an adapter's base; upscaler: of what
    enlarges.

    The recipe names the model, never its path. Of a request that lists pictures it keeps the one alone.
    """
    verb = "sample" if isinstance(request, SampleRequest) else "classes"
    listed = isinstance(request, SampleRequest) and request.pictures is not None
    plain = request.model_copy(update={"model": name, **({"pictures": None, "count": 1} if listed else {})}).to_json()

    def recipe(picture: Picture) -> dict[str, Any]:
        lineage = picture.model_dump(mode="json")
        settings = {**plain, "pictures": [lineage]} if listed else plain
        values = (studio.__version__, verb, name, sha256, settings, lineage)
        further = {BASE: base, UPSCALER: upscaler}
        return {
            **dict(zip(KEYS, values, strict=True)),
            **{key: value for key, value in further.items() if value is not None},
        }

    return recipe


def restore(recipe: Mapping[str, Any], models: Iterable[ModelInfo], upscaler: str | None = None) -> Restored:
    """What an untrusted recipe asks for, with a model of ours: the one of the same content, else of the same name.
    A held adapter is found by its content alone. upscaler: sha256 of ours.

    Raises InvalidRequest, one sentence, for what is no recipe of ours, UnknownName where no model fits.
    """
    refuse_deep(recipe)
    missing = next((key for key in KEYS if key not in recipe), None)
    if missing is not None:
        raise InvalidRequest(f"The recipe lacks {missing!r}, so the picture was not made by this studio.")
    verb, name, sha256 = recipe["verb"], recipe["model"], recipe["sha256"]
    if not isinstance(verb, str) or verb not in REQUESTS:
        raise UnknownName("kind of recipe", verb, tuple(REQUESTS))
    base = recipe.get(BASE, "0" * 64)
    if not isinstance(name, str) or not all(isinstance(text, str) and _HASH.fullmatch(text) for text in (sha256, base)):
        raise InvalidRequest("The recipe does not say which model made the picture; choose the settings by hand.")
    if not isinstance(recipe["request"], Mapping) or not all(isinstance(key, str) for key in recipe["request"]):
        raise InvalidRequest("The recipe holds no request; choose the settings by hand.")
    model, notice = _find(name, sha256, base, models)
    if notice is None and recipe.get(UPSCALER, upscaler) != upscaler:
        notice = "The upscaler has changed since this picture was made, so its finest detail may differ."
    request = REQUESTS[verb](**{**recipe["request"], "model": model})
    return Restored(request=request, picture=as_picture(recipe["picture"]), notice=notice)


def _find(name: str, sha256: str, base: str, models: Iterable[ModelInfo]) -> tuple[str, str | None]:
    """The model to use, and a sentence where it is not the very same."""
    known = list(models)
    usable = [info for info in known if info.error is None]
    same = [info for info in usable if info.sha256 == sha256]
    exact = next((info for info in same if name in (info.name, info.title)), None)
    if exact is not None:
        return exact.name, None
    if same:
        return same[0].name, f"The model {name[:80]!r} of this picture is called {same[0].name!r} here."
    changed = next((info for info in usable if info.name == name), None)
    if changed is not None:
        what = f"base {changed.base!r} of the model" if changed.base and changed.base_sha256 != base else "model"
        return name, f"The {what} {name!r} has changed since this picture was made, so the picture may differ."
    error = next((info.error for info in known if info.name == name and info.base), None)
    if error is not None:
        raise InvalidRequest(error)
    raise UnknownName("model", name, tuple(info.name for info in usable if not is_reference(info.name)))
