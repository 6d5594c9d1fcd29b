"""``studio adapt``: a generator moved towards the pictures of a folder, kept as an adapter file."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from studio.cli.door import Json, bar, say
from studio.cli.signals import Signals
from studio.core.errors import InvalidRequest
from studio.core.files import atomic_write, shown
from studio.core.words import amount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio.engine import Adaptation, AdaptRequest, Engine, Pictures
    from studio.engine.gathered import Taken

SUFFIX = ".safetensors"


def adapt(
    pictures: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders of pictures, or pictures.")],
    base: Annotated[str, typer.Option(metavar="MODEL", help="A model with classes, or auto.")] = "auto",
    name: Annotated[str, typer.Option(help="Of the new class, and of the file.")] = "my hand",
    method: Annotated[str, typer.Option(help="auto, meta, finetune, …")] = "auto",
    budget: Annotated[float, typer.Option(help="Seconds.")] = 60.0,
    steps: Annotated[int | None, typer.Option(help="At most so many; by default as many as the time allows.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    crop: Annotated[str, typer.Option(help="square: the centre of each picture; whole: all of it.")] = "square",
    out: Annotated[Path | None, typer.Option(help="The adapter to write; by default NAME in your library.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Move a generator towards your pictures. Ctrl+C keeps what is there."""
    from studio.engine import AdaptRequest, Engine

    engine = Engine(alone=True)
    target = target_of(engine, name, out)
    store, offered = engine.pictures(), Offered(*files_of(pictures))
    taken = offered.take(store, as_json)
    request = AdaptRequest(
        pictures=tuple(one.reference for one in taken if one.reference),
        name=name,
        base=base,
        method=method,
        budget=budget,
        steps=steps,
        seed=seed,
        crop=cast("Any", crop),  # the request refuses what it does not know
    )
    began = time.monotonic()
    with Signals() as signals:
        done = followed(engine, request, store, signals, as_json)
    if done is None:
        typer.echo("Stopped before anything was learned; nothing is written.", err=True)
        raise typer.Exit(signals.status)
    write(engine, done, target, None if out is None else engine.export(done.reference))
    report(done, taken, offered, target, time.monotonic() - began, as_json)
    if signals.received:
        raise typer.Exit(signals.status)


@dataclass(frozen=True)
class Offered:
    """files: to look at, of so many that were offered."""

    files: "Sequence[Path | str]"
    total: int

    def take(self, store: "Pictures", quiet: bool) -> "list[Taken]":
        """Take the files in; those that cannot be read are named on stderr."""
        from studio.engine.gathered import take

        with bar(quiet) as progress_bar:
            files = progress_bar.track(self.files, description="looking at your pictures")
            taken = [take(file, store) for file in files]
        for one in taken:
            if not one.reference:
                typer.echo(one.note, err=True)
        if not any(one.reference for one in taken):
            raise InvalidRequest(f"None of the {len(taken)} pictures could be read.")
        return taken

    @property
    def words(self) -> str:
        """What is to be said where not all were looked at."""
        looked_at = len(self.files)
        return "" if looked_at == self.total else f"Of {self.total} pictures {looked_at} were looked at, evenly spread."


def target_of(engine: "Engine", name: str, out: Path | None) -> Path:
    """The file to write, refused before the work and not after it."""
    if out is None:
        return engine.place(name)
    if out.suffix != SUFFIX:
        raise InvalidRequest(f"The result is an adapter; --out must end in {SUFFIX}; got {shown(out)}.")
    return out


def files_of(places: "Sequence[Path]") -> "tuple[Sequence[Path | str], int]":
    """The pictures to look at in files and folders, and how many there are."""
    from studio.engine.gathered import SUFFIXES, spread

    files: list[Path] = []
    for place in places:
        inside = sorted(file for file in place.iterdir() if file.suffix.lower() in SUFFIXES) if place.is_dir() else None
        if inside is not None and not inside:
            raise InvalidRequest(f"The folder {shown(place)} holds no PNG, JPEG, WebP or GIF.")
        files += [place] if inside is None else inside
    return spread(files), len(files)


def followed(
    engine: "Engine", request: "AdaptRequest", store: "Pictures", signals: Signals, quiet: bool
) -> "Adaptation | None":
    """Run the job behind a bar to its end, or to a signal: then the last snapshot is the one to keep."""
    job = engine.adapt(request, store)
    seen: Adaptation | None = None
    with bar(quiet, "{task.fields[step]}", "{task.fields[left]}", remaining=False) as progress_bar:
        task = progress_bar.add_task("adapting", total=request.budget, step="", left="")
        for progress in job:
            seen = progress.preview or seen
            left = progress.metrics.get("seconds_left")
            progress_bar.update(
                task,
                completed=None if left is None else request.budget - left,
                description="adapting" if progress.step else "preparing",
                step=f"step {progress.step}",
                left="" if left is None else f"{left:.0f} s left",
            )
            if signals.received and progress.result is None:
                job.close()
                break
    if seen is None or not seen.work or seen.reference:
        return seen
    last = len(seen.stages) - 1
    return replace(seen, best=last, reference=engine.pick(seen, last))


def write(engine: "Engine", done: "Adaptation", target: Path, contents: bytes | None) -> None:
    """The adapter, in the library or where its contents are given in a file of one's own, and the sheet beside it."""
    from studio.core.images import save_png

    if contents is None:
        engine.keep(done.reference, done.request.name)
    else:
        with atomic_write(target) as temporary:
            temporary.write_bytes(contents)
    save_png(done.sheet(), target.with_suffix(".png"))


def report(
    done: "Adaptation", taken: "Sequence[Taken]", offered: Offered, target: Path, seconds: float, as_json: bool
) -> None:
    """Say what was learned from what."""
    from studio.engine.gathered import left_out

    sheet = target.with_suffix(".png")
    unused = left_out(taken, done.verdicts)
    record = {
        "file": str(target),
        "sheet": str(sheet),
        **done.summary(),
        "offered": offered.total,
        "skipped": {one.name: one.note for one in taken if not one.reference},
        "left_out": unused,
        "bytes": target.stat().st_size,
        "seconds": round(seconds, 3),
    }
    stage = done.stages[done.best]
    lines = [
        *(f"{name}: {text}" for name, text in unused.items()),
        offered.words,
        done.stopped,
        f"Learned {done.request.name!r} from {len(done.learned_from)} pictures in {amount(stage.step, 'step')} "
        f"(base {done.request.base}, method {done.request.method}).",
        f"Saved {target} and {sheet}.",
    ]
    say(as_json, record, "\n".join(filter(None, lines)))
