"""``studio train``: a recipe, a data set, a file; stopping saves, and --resume goes on."""

import math
import os
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import field, fields, make_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

from studio.cli import parse
from studio.cli.data import FOLDERS, report_skipped
from studio.cli.door import Json, bar, extra, say
from studio.cli.signals import Signals
from studio.core.errors import InvalidRequest, OutputError
from studio.core.progress import Progress
from studio.core.words import names

if TYPE_CHECKING:
    from studio.core.checkpoint import Checkpoint
    from studio.core.dataset import ImageSet
    from studio.training.options import TrainOptions
    from studio.training.recipe import Recipe

LINE_SECONDS = 60.0  # between two lines of a run that has no terminal
FLAGS = ("out", "max_seconds", "precision", "device", "resume", "init", "provenance")  # of TrainOptions: have flags


def train(
    recipe: Annotated[str, typer.Argument(help="gan, cgan, dcgan, vae, …: an unknown one lists them all.")],
    data: Annotated[list[Path], typer.Option(help=FOLDERS)],
    out: Annotated[Path, typer.Option(help="The checkpoint to write; state and logs lie beside it.")],
    styles: Annotated[list[Path] | None, typer.Option(help="Paintings, for a recipe that takes them beside.")] = None,
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
        from studio.training.loop import fit
        from studio.training.options import TrainOptions
        from studio.training.recipe import RECIPES
    entry, given = RECIPES[recipe].chosen(parse.settings(config or ()))
    model, trainer, rest = configs(entry, TrainOptions, given)
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
    pictures = read(entry, data, styles or [], entry.side(model, trainer), names(classes) or None, options.batch)
    quiet = as_json or os.environ.get("RANK", "0") != "0"
    report_skipped(pictures)
    with Signals() as signals:
        run = fit(entry, model, trainer, pictures, options, stop=lambda: signals.received is not None)
        job = cast("Generator[Progress[Checkpoint]]", run)
        last = follow(job, options, signals, quiet)
    if os.environ.get("RANK", "0") == "0":
        say(as_json, record(last, options, pictures, signals), words(last, options))
    if signals.received:
        raise typer.Exit(signals.status)


def read(
    recipe: "Recipe",
    data: Sequence[Path],
    styles: Sequence[Path],
    side: int,
    classes: Sequence[str] | None,
    minimum: int,
) -> "ImageSet":
    """The pictures of --data and, where the recipe takes them, the paintings of --styles."""
    from studio.core.dataset import read_dataset
    from studio.training.data import content_and_style

    if styles and not recipe.styles:
        raise InvalidRequest(f"Recipe {recipe.name} takes no --styles; give all its pictures by --data.")
    pictures = read_dataset(data, side, classes, minimum=minimum)
    return content_and_style(pictures, read_dataset(styles, side, minimum=minimum)) if styles else pictures


def configs(recipe: "Recipe", options: type[Any], values: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Settings by name, dealt to the model's config, the trainer's config and those options that have no flag."""
    from studio.core.fields import configure

    tables = (recipe.model, recipe.trainer, unflagged(options))
    known = {name for table in tables for name in names_of(table)}
    for name in values:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise InvalidRequest(f"Recipe {recipe.name} has no setting {name[:40]!r}; known: {listed}.")
    dealt = [{name: value for name, value in values.items() if name in names_of(table)} for table in tables]
    model, trainer, rest = (configure(table, given) for table, given in zip(tables, dealt, strict=True))
    return model, trainer, {name: getattr(rest, name) for name in dealt[2]}


def names_of(table: type[Any]) -> tuple[str, ...]:
    """The fields of a dataclass."""
    return tuple(entry.name for entry in fields(table))


def unflagged(options: type[Any]) -> type[Any]:
    """The run's options that have no flag of their own, as a dataclass."""
    hints = get_type_hints(options)
    rest = [entry for entry in fields(options) if entry.name not in FLAGS]
    return make_dataclass(
        "RunSettings", [(entry.name, hints[entry.name], field(default=entry.default)) for entry in rest]
    )


def guard(options: "TrainOptions", overwrite: bool) -> None:
    """Refuse to begin anew over a run or a checkpoint that is there."""
    there = [path for path in (options.state, options.out) if path.exists()]
    if there and not options.resume and not overwrite:
        raise OutputError(
            f"{there[0].name} exists already; add --resume to go on with that run, or --overwrite to begin anew."
        )


def follow(
    job: "Generator[Progress[Checkpoint]]", options: "TrainOptions", signals: Signals, quiet: bool
) -> Progress[Any]:
    """Drive a run to its end, or to a signal, behind a progress bar; returns its last state with its last losses.

    Where stderr is no terminal, a line now and then takes the bar's place.
    """
    last: Progress[Any] = Progress(0, options.images)
    began = told = time.monotonic()
    with bar(quiet, "{task.fields[rate]}", "{task.fields[losses]}", "{task.fields[left]}", remaining=False) as shown:
        task = shown.add_task("training", total=options.images, rate="", losses="", left="")
        for progress in job:
            last = replace(progress, metrics=progress.metrics or last.metrics)
            if progress.note and progress.result is None:
                shown.console.print(progress.note)
            now = time.monotonic()
            beside = columns(last, options, now - began)
            shown.update(task, completed=progress.step, **beside)
            if shown.disable and not quiet and now - told >= LINE_SECONDS:
                told = now
                shown.console.print(
                    f"{progress.step} of {options.images} pictures", *filter(None, beside.values()), sep=", "
                )
            if signals.received:
                shown.update(task, left="saving")  # the job has been told, and ends by itself
    return last


def columns(progress: Progress[Any], options: "TrainOptions", elapsed: float) -> dict[str, Any]:
    """What stands beside the bar: pictures a second, losses, time left."""
    rate = progress.metrics.get("images_per_second", 0.0)
    left = [(options.images - progress.step) / rate] if rate else []
    if options.max_seconds is not None:
        left.append(options.max_seconds - elapsed)
    return {
        "rate": f"{rate:.0f} images/s" if rate else "",
        "losses": " ".join(f"{name} {value:.3g}" for name, value in losses(progress).items()),
        "left": f"{timedelta(seconds=max(0, round(min(left))))} left" if left else "",
    }


def losses(progress: Progress[Any]) -> dict[str, float]:
    """The finite losses of a run's last state."""
    named = progress.metrics.items()
    return {name: value for name, value in named if name != "images_per_second" and math.isfinite(value)}


def record(last: Progress[Any], options: "TrainOptions", pictures: "ImageSet", signals: Signals) -> dict[str, Any]:
    """The outcome as plain values. stopped: "signal", "time" or "images"."""
    finished = "images" if last.step >= options.images else "time"
    return {
        "out": str(options.out),
        "state": str(options.state),
        "logs": str(options.logs),
        "images": last.step,
        "stopped": "signal" if signals.received else finished,
        "losses": losses(last),
        "training_images": len(pictures),
        "skipped": len(pictures.skipped),
    }


def words(last: Progress[Any], options: "TrainOptions") -> str:
    """The outcome as a sentence or two."""
    text = f"Saved {options.out} after {last.step} pictures; logs and snapshots are in {options.logs}."
    return text if last.step >= options.images else f"{text} Go on with --resume."
