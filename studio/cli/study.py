"""``studio study``: many trainings that differ in one thing, side by side, measured and reported."""

import tempfile
from collections.abc import Generator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli import parse
from studio.cli.data import FOLDERS, report_skipped
from studio.cli.door import Json, bar, extra, say
from studio.cli.signals import Signals
from studio.core.errors import InvalidRequest
from studio.core.progress import Progress

if TYPE_CHECKING:
    from studio.study.conduct import Estimate
    from studio.study.plan import Record, RunPlan

FEATURES = "The judge: vgg16, lite0 or inception, with =FILE where its weights come from a file."


def study(
    name: Annotated[str, typer.Argument(help="activations, objectives: an unknown one lists them all.")],
    out: Annotated[Path, typer.Option(help="The study's folder: runs, records, logs. A broken-off study goes on.")],
    data: Annotated[list[Path] | None, typer.Option(help=f"Training pictures. {FOLDERS}")] = None,
    test_data: Annotated[list[Path] | None, typer.Option(help="Held-out pictures to judge by.")] = None,
    config: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Settings of the study.")] = None,
    features: Annotated[str, typer.Option(help=FEATURES)] = "vgg16",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int, typer.Option(help="Runs at a time; with several GPUs they take turns on them.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each run.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and how long it will take.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the document and its plots into this folder.")] = None,
    export: Annotated[Path | None, typer.Option(help="Copy a small model of each setting into this folder.")] = None,
    licence: Annotated[str, typer.Option(help="What the cards of exported models say of data and licence.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Train and judge many models that differ in one thing, and write the report."""
    with extra("train"):
        from studio.core.fields import configure
        from studio.study.conduct import conduct, prepare
        from studio.study.export import export as export_models
        from studio.study.plan import STUDIES
        from studio.study.records import claim, finished
    entry = STUDIES[name]
    if not (1 <= workers <= 256 and 1 <= threads <= 256):
        raise InvalidRequest(f"{workers} workers of {threads} threads are out of range; choose from 1 to 256 of each.")
    given = {"features": features, "device": device, **parse.settings(config or ())}
    settings = configure(entry.config, given)
    plans = entry.plans(settings)
    if dry_run:
        foretell(plans, workers, threads, as_json)
        return
    told = asdict(settings)
    claim(out, name, {key: told[key] for key in told if key not in ("device", "features")})
    signals = Signals()
    if data or test_data:
        if not (data and test_data):
            raise InvalidRequest("A study needs --data to train on and --test-data to judge by.")
        for pictures in prepare(out, data, test_data, settings.resolution):
            report_skipped(pictures)
        with signals:
            follow(conduct(plans, out, workers, threads), signals, as_json)
    elif report is None and export is None:
        raise InvalidRequest("Name the pictures by --data and --test-data, or ask for --report or --export.")
    records = finished(out, plans)
    written = [entry.report(records, report)] if report is not None else []
    copied = export_models(entry, records, export, licence) if export is not None else []
    say(as_json, outcome(plans, records, written, copied), words(plans, records, written, copied))
    if signals.received:
        raise typer.Exit(signals.status)


def foretell(plans: "tuple[RunPlan, ...]", workers: int, threads: int, as_json: bool) -> None:
    """Print the runs and what they will take."""
    with extra("train"):
        from studio.study.conduct import estimate
    with tempfile.TemporaryDirectory() as scratch:
        found: Estimate = estimate(plans, Path(scratch), workers, threads)
    lines = [f"{plan.name}: {plan.setting}, {length(plan)}" for plan in plans]
    steps = ", ".join(f"{recipe} {1000 * seconds:.0f} ms a step" for recipe, seconds in found.steps.items())
    lines.append(
        f"{len(plans)} runs, about {timedelta(seconds=round(found.seconds))} with {workers} at a time of {threads} "
        f"threads on idle cores ({steps}; {1000 * found.picture:.0f} ms to judge a picture)."
    )
    record = {"runs": [plan.to_json() for plan in plans], **asdict(found)}
    say(as_json, record, "\n".join(lines))


def length(plan: "RunPlan") -> str:
    """How long a run is, in words."""
    return f"{plan.images} pictures" if plan.images is not None else f"{plan.seconds:g} seconds"


def follow(job: "Generator[Progress[Any], None, None]", signals: Signals, quiet: bool) -> None:
    """Drive a study to its end or to a signal, behind a bar for the whole and one for each run at work."""
    with bar(quiet, "{task.fields[stage]}") as shown:
        whole = shown.add_task("study", total=None, stage="")
        tasks: dict[str, Any] = {}
        for progress in job:
            shown.update(whole, total=progress.total, completed=progress.step)
            running = progress.preview or {}
            for name, (stage, fraction) in running.items():
                if name not in tasks:
                    tasks[name] = shown.add_task(name, total=1.0, stage=stage)
                shown.update(tasks[name], completed=fraction, stage=stage)
            for name in [name for name in tasks if name not in running]:
                shown.remove_task(tasks.pop(name))
            if progress.note and not quiet:
                shown.console.print(progress.note)
            if signals.received:
                job.close()
                return


def outcome(
    plans: "tuple[RunPlan, ...]", records: "list[Record]", written: list[Path], copied: list[Path]
) -> dict[str, Any]:
    """The study as plain values."""
    return {
        "runs": len(plans),
        "finished": len(records),
        "broke_down": [record.plan.name for record in records if record.failed],
        "metrics": {record.plan.name: dict(record.metrics) for record in records},
        "report": [str(path) for path in written],
        "exported": [str(path) for path in copied],
    }


def words(plans: "tuple[RunPlan, ...]", records: "list[Record]", written: list[Path], copied: list[Path]) -> str:
    """The outcome as a sentence or two."""
    text = f"{len(records)} of {len(plans)} runs are finished."
    text += "" if len(records) == len(plans) else " The same command goes on."
    text += "".join(f" Wrote {path}." for path in written)
    return text + (f" Copied {len(copied)} models to {copied[0].parent}." if copied else "")
