"""``studio models``, ``sample`` and ``walk``: what the engine does, as words and files."""

import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from studio.cli.door import Json, bar, say
from studio.core import words
from studio.core.progress import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from studio.core.progress import Progress
    from studio.engine import ModelInfo, Sample

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or a checkpoint's path.")]
Truncation = Annotated[float, typer.Option(help="0 the mean picture, 1 the whole variety, above 1 wilder.")]
Classes = Annotated[str, typer.Option("--class", metavar="NAME=WEIGHT,…", help="A mixture of the model's classes.")]
Adaptation = Annotated[float, typer.Option(help="Of an adapter: 0 paints as its base, 1 as learned, 2 twice as far.")]
KeepRecipe = Annotated[bool | None, typer.Option("--recipe/--no-recipe", help="Put the request into each PNG.")]


def models(as_json: Annotated[bool, Json] = False) -> None:
    """List the models, and what is wrong with those that cannot be opened."""
    from studio.engine import Engine

    infos = Engine(alone=True).models()
    record = {"models": [as_record(info) for info in infos]}
    say(as_json, record, "\n".join(map(as_line, infos)) or "There are no models yet; train one with: studio train gan.")


def sample(
    model: Model,
    seed: Annotated[int, typer.Option(help="The first picture's seed; the others follow.")] = 0,
    count: Annotated[int, typer.Option(help="How many pictures.")] = 16,
    truncation: Truncation = 0.8,
    classes: Classes = "",
    adaptation: Adaptation = 1.0,
    size: Annotated[int | None, typer.Option(help="Side of the pictures in pixels; by default the model's.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder for the PNGs; by default STUDIO_OUTPUTS.")] = None,
    recipe: KeepRecipe = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Paint pictures, one PNG a seed."""
    from studio.engine import Engine, SampleRequest

    request = SampleRequest(
        model=model,
        seed=seed,
        count=count,
        truncation=truncation,
        adaptation=adaptation,
        classes=words.weights(classes),
        size=size,
    )
    engine = Engine(alone=True)
    folder = out if out is not None else engine.settings.outputs
    keep = engine.settings.keep_recipe if recipe is None else recipe
    began = time.monotonic()
    files = save_each(engine.sample(request), folder, Path(model).stem, keep, as_json)
    record = {
        "model": model,
        "seeds": list(range(seed, seed + count)),
        "files": [str(file) for file in files],
        "seconds": round(time.monotonic() - began, 3),
    }
    say(as_json, record, f"Saved {len(files)} pictures in {folder}.")


def walk(
    model: Model,
    seeds: Annotated[str, typer.Option(help="Seeds of the key pictures: 1,2,3.")],
    out: Annotated[Path, typer.Option(help="The film to write: .mp4 or .gif.")],
    frames: Annotated[int, typer.Option(help="Frames in all.")] = 120,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 30,
    truncation: Truncation = 0.8,
    classes: Classes = "",
    adaptation: Adaptation = 1.0,
    space: Annotated[str, typer.Option(help="Walk in w (styles) or z (noise).")] = "w",
    size: Annotated[int | None, typer.Option(help="Side of the film in pixels; by default the model's.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End at the last key instead of closing the loop.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Film a walk through pictures."""
    from studio.engine import Engine, WalkRequest

    request = WalkRequest(
        model=model,
        seeds=words.seeds(seeds),
        frames=frames,
        fps=fps,
        truncation=truncation,
        adaptation=adaptation,
        classes=words.weights(classes),
        space=cast("Any", space),  # the request refuses what it does not know
        format=cast("Any", out.suffix.removeprefix(".").lower()),
        size=size,
        loop=not once,
    )
    began = time.monotonic()
    path = drive(Engine(alone=True).walk(request, out), "filming", as_json)
    record = {"model": model, "file": str(path), "frames": frames, "seconds": round(time.monotonic() - began, 3)}
    say(as_json, record, f"Saved {path}.")


def drive(job: "Iterator[Progress[Any]]", description: str, quiet: bool) -> Any:
    """Run a job to its result behind a progress bar."""
    with bar(quiet) as shown:
        task = shown.add_task(description, total=None)
        return result_of(watch(job, lambda progress: shown.update(task, total=progress.total, completed=progress.step)))


def save_each(
    job: "Iterator[Progress[list[Sample]]]", folder: Path, name: str, recipe: bool, quiet: bool
) -> list[Path]:
    """Save every picture as it appears, so that a job which is stopped leaves those that are done."""
    files: list[Path] = []

    def save(progress: "Progress[list[Sample]]") -> None:
        for picture in (progress.result or progress.preview or ())[len(files) :]:
            path = folder / f"{name}-{picture.seed}.png"
            picture.save(path, recipe)
            files.append(path)

    drive(watch(job, save), "painting", quiet)
    return files


def watch(job: "Iterator[Progress[Any]]", tell: "Callable[[Progress[Any]], None]") -> "Iterator[Progress[Any]]":
    """The same job, told of as it goes."""
    for progress in job:
        tell(progress)
        yield progress


def as_line(info: "ModelInfo") -> str:
    """A model in words."""
    if info.error:
        return f"{info.name}: {info.error}"
    classes = f"; classes: {', '.join(info.classes)}" if info.classes else ""
    kind = f"{info.kind} of {info.base}" if info.base else info.kind
    return f"{info.name}: {kind}, {info.resolution} px, {info.parameters / 1e6:.1f} M parameters{classes}"


def as_record(info: "ModelInfo") -> dict[str, Any]:
    """A model as plain values, without its card."""
    values = {entry.name: getattr(info, entry.name) for entry in fields(info) if entry.name != "card"}
    return {**values, "path": str(info.path), "classes": list(info.classes), "metrics": dict(info.metrics)}
