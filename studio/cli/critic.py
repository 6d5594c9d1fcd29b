"""``studio classify``: what a picture is of, in the critic's eyes."""

from pathlib import Path
from typing import Annotated

import typer

from studio.cli.door import Json, say


def classify(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG, JPEG, WebP or GIF.")],
    saliency: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write where the class is seen, as a picture.")
    ] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="The saliency's class, else the likeliest.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Say what a picture is of."""
    from studio.core.errors import InvalidRequest
    from studio.core.images import open_image, save_png
    from studio.engine import Engine

    if class_name is not None and saliency is None:
        raise InvalidRequest("--class names the class of a saliency picture; add --saliency FILE.png.")
    if saliency is not None and saliency.suffix.lower() != ".png":
        raise InvalidRequest(f"The saliency picture's file must end in .png; got {saliency.name[:80]!r}.")
    engine = Engine(alone=True)
    image = open_image(picture)
    found = engine.classify(image)
    if saliency is not None:
        save_png(engine.saliency(image, class_name), saliency)
    record = {"picture": str(picture), "class": next(iter(found)), "probabilities": found}
    say(as_json, record | ({"saliency": str(saliency)} if saliency else {}), table(found))


def table(probabilities: dict[str, float]) -> str:
    """A line a class, per cent."""
    width = max(map(len, probabilities))
    return "\n".join(f"{name:<{width}}  {100 * share:5.1f} %" for name, share in probabilities.items())
