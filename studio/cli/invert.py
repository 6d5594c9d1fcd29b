"""``studio invert``: an artist's own picture in a model, to vary, mix and walk from."""

import time
from pathlib import Path
from typing import Annotated

import typer

from studio.cli.door import Json, say
from studio.cli.pictures import KeepRecipe, drive
from studio.core.errors import OutputError


def invert(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="PNG, JPEG, WebP or GIF; its middle is taken.")],
    model: Annotated[str, typer.Option(help="A model's name, or a checkpoint's path.")],
    out: Annotated[Path, typer.Option(help="The PNG to write: the reconstruction, with its recipe.")],
    budget: Annotated[float, typer.Option(help="Seconds.")] = 5.0,
    steps: Annotated[int, typer.Option(help="Steps of the descent, at most.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the samples to begin from.")] = 0,
    recipe: KeepRecipe = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Find a picture of your own in a model."""
    from studio.core.images import open_image
    from studio.engine import Engine, InvertRequest

    request = InvertRequest(model=model, seconds=budget, steps=steps, seed=seed)
    if out.suffix.lower() != ".png":
        raise OutputError(f"The reconstruction is a PNG; let --out end in .png, not {out.suffix[:20]!r}.")
    engine = Engine(alone=True)
    image = open_image(picture)
    began = time.monotonic()
    found = drive(engine.invert(request, image), "looking", as_json)
    found.sample.save(out, engine.settings.keep_recipe if recipe is None else recipe)
    record = {
        "model": model,
        "file": str(out),
        "distance": round(found.distance, 4),
        "first_distance": round(found.first, 4),
        "classes": dict(found.classes),
        "steps": found.steps,
        "seconds": round(time.monotonic() - began, 3),
    }
    say(as_json, record, f"Saved {out}: distance {found.distance:.2f}, {found.first:.2f} at the start.")
