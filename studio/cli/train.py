"""``studio train``: a recipe, a data set, a file; stopping saves, and --resume goes on."""

import os
from collections.abc import Generator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from studio.cli import parse
from studio.cli.door import Json, extra, say
from studio.cli.signals import Signals
from studio.core.errors import InvalidRequest, OutputError
from studio.core.progress import Progress

if TYPE_CHECKING:
    from studio.core.checkpoint import Checkpoint
    from studio.core.dataset import ImageSet
    from studio.training.options import TrainOptions
    from studio.training.recipe import Recipe

FLAGS = ("out", "max_seconds", "precision", "device", "resume", "init", "provenance")  # of TrainOptions: have flags
FOLDERS = "A folder of pictures (subfolder = class) or a zip with an index.csv; several may follow."


def train(
    recipe: Annotated[str, typer.Argument(help="gan, cgan, dcgan, vae, …: an unknown one lists them all.")],
    data: Annotated[list[Path], typer.Option(help=FOLDERS)],
    out: Annotated[Path, typer.Option(help="The checkpoint to write; state and logs lie beside it.")],
    config: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Settings of the recipe.")] = None,
    classes: Annotated[str, typer.Option(help="Use these classes alone: landscape,seascape.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew where a run lies already.")] = False,
    max_time: Annotated[str | None, typer.Option(help="Save and end after 90s, 15m, 2h or 1h30m.")] = None,
    init: Annotated[Path | None, typer.Option(help="Start from the weights of this checkpoint.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    provenance: Annotated[list[str] | None, typer.Option(metavar="NAME=TEXT", help="Data and licence notes.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Train a model on pictures."""
    with extra("train"):
        from studio.core.dataset import read_dataset
        from studio.training.loop import fit
        from studio.training.options import TrainOptions
        from studio.training.recipe import RECIPES
    entry = RECIPES[recipe]
    model, trainer, rest = configs(entry, TrainOptions, parse.settings(config or ()))
    options = TrainOptions(
        out=out,
        max_seconds=None if max_time is None else parse.duration(max_time),
        precision=precision,
        device=device,
        resume=resume,
        init=init,
        provenance=parse.settings(provenance or ()),
        **rest,
    )
    guard(options, overwrite)
    pictures = read_dataset(data, model.resolution, list(parse.weights(classes)) or None, minimum=options.batch)
    quiet = as_json or os.environ.get("RANK", "0") != "0"
    report_skipped(pictures)
    with Signals() as signals:
        job = cast("Generator[Progress[Checkpoint]]", fit(entry, model, trainer, pictures, options))
        last = follow(job, options, signals, quiet)
    if os.environ.get("RANK", "0") == "0":
        say(as_json, record(last, options, pictures, signals), words(last, options, signals))
    if signals.received:
        raise typer.Exit(signals.status)


def configs(recipe: "Recipe", options: type[Any], values: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """The settings given by name, dealt to the model's config, the trainer's config and the run's options."""
    from studio.core.fields import configure

    own = [{field.name for field in fields(table)} for table in (recipe.model, recipe.trainer, options)]
    own[2] -= set(FLAGS)
    for name in values:
        if not any(name in names for names in own):
            known = ", ".join(sorted(set().union(*own)))
            raise InvalidRequest(f"Recipe {recipe.name} has no setting {name[:40]!r}; known: {known}.")
    model, trainer, rest = ({name: value for name, value in values.items() if name in names} for names in own)
    checked = configure(options, {"out": "", **rest}) if rest else None
    return (
        configure(recipe.model, model),
        configure(recipe.trainer, trainer),
        {name: getattr(checked, name) for name in rest},
    )
