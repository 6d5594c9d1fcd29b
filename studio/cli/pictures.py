"""``studio models``, ``sample`` and ``walk``: what the engine does, as words and files."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli import parse
from studio.cli.door import Json, bar, say
from studio.core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from studio.core.settings import Settings

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or a checkpoint's path.")]
Truncation = Annotated[float, typer.Option(help="0 the mean picture, 1 the whole variety, above 1 wilder.")]
Classes = Annotated[str, typer.Option("--class", metavar="NAME=WEIGHT,…", help="A mixture of the model's classes.")]
Recipe = Annotated[bool, typer.Option("--recipe/--no-recipe", help="Put the request into each PNG.")]


def models(as_json: Annotated[bool, Json] = False) -> None:
    """List the models, and what is wrong with those that cannot be opened."""
    from studio.engine import Engine

    infos = Engine().models()
    lines = [f"{info.name}: {info.error}" if info.error else describe(info) for info in infos]
    record = {"models": [as_record(info) for info in infos]}
    say(as_json, record, "\n".join(lines) or "There are no models yet; train one with: studio train gan --data …")
