"""The models of a study that are kept to play with, each with a card of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from studio.core import checkpoint
from studio.core.errors import OutputError
from studio.core.files import atomic_write
from studio.study.document import table
from studio.study.grids import firsts
from studio.study.plan import Record, Study

MAX_BYTES = 2_000_000


def export(study: Study, records: Sequence[Record], folder: Path, licence: str = "") -> list[Path]:
    """Write the first seed's model of each setting that the study keeps, named after its run, and its card beside it.

    licence: what the cards say of data and licence. Raises OutputError over 2 MB.
    """
    return [_one(study, record, folder, licence) for record in firsts(records) if study.keeps(record.plan)]


def _one(study: Study, record: Record, folder: Path, licence: str) -> Path:
    size = record.checkpoint.stat().st_size
    if size > MAX_BYTES:
        raise OutputError(
            f"The model of {record.plan.name} has {size} bytes, over the {MAX_BYTES} of an export; "
            "run the study with fewer channels."
        )
    trained = checkpoint.load(record.checkpoint)
    target = folder / f"{record.plan.name.rpartition('-seed')[0]}.safetensors"
    provenance = {**trained.provenance, "study": study.name, "setting": record.plan.setting}
    checkpoint.save(
        target, trained.build(), kind=trained.kind, config=trained.configuration, classes=trained.classes,
        provenance=provenance | ({"licence": licence} if licence else {}), metrics=record.metrics,
    )  # fmt: skip
    with atomic_write(target.with_suffix(".md")) as temporary:
        temporary.write_text(card(study, record, target.stem, licence), encoding="utf-8")
    return target


def card(study: Study, record: Record, name: str, licence: str) -> str:
    """What the model is, for people who meet it in the Lab."""
    plan = record.plan
    length = f"{record.images:,} pictures" if plan.images is not None else f"{plan.seconds:g} seconds"
    parts = [
        f"# {name}",
        f"One of the models of the study of {study.name}, made to be compared and not to be hung: {plan.setting}. Kind "
        f"`{checkpoint.load(record.checkpoint).kind}`, {plan.model['resolution']} px, after {length} of training with "
        f"seed {plan.seed}. docs/{study.name.upper()}.md has the others and what they show.",
    ]
    parts += ["## Data and licence", licence] if licence else []
    parts += [
        "## Measured quality",
        f"{plan.count} pictures against held-out ones.",
        figures(record.metrics),
    ]
    return "\n\n".join(parts) + "\n"


def figures(metrics: Mapping[str, float]) -> str:
    """The metrics as a table."""
    return table(["metric", "value"], [[f"`{name}`", f"{value:.4g}"] for name, value in sorted(metrics.items())])
