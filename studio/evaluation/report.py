"""What an evaluation found: numbers for a machine, and the table of a model card for people."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from studio.core.errors import StudioError
from studio.core.files import atomic_write, shown
from studio.evaluation.compare import COLLAPSE_RATIO, ClassRow
from studio.evaluation.critic import ConsistencyRow
from studio.evaluation.features import EVALUATION_SIZE
from studio.evaluation.metrics import COPY_RATIO

START, END = "<!-- evaluation: start -->", "<!-- evaluation: end -->"
HEADING = "## Measured quality"

# start of a metric's name → (what the card calls it, which way is better, decimals)
READINGS = {
    "kid": ("KID", "lower", 4),
    "fid": ("FID", "lower", 1),
    "precision": ("precision", "higher", 3),
    "recall": ("recall", "higher", 3),
    "diversity-ratio-worst-class": ("diversity of the worst class, over that of real images", "higher", 2),
    "diversity-ratio": ("diversity, over that of real images", "1", 2),
    "diversity-lpips": ("diversity (mean LPIPS of two pictures)", "higher", 3),
    "diversity-cosine": ("diversity (mean cosine distance of two pictures)", "higher", 3),
    "collapsed-classes": (f"classes with a diversity ratio under {COLLAPSE_RATIO}", "0", 0),
    "class-consistency": ("class consistency (mean share of a class that the critic calls so)", "higher", 3),
    "class-consistency-real": ("the same share of real images", "", 3),
    "novelty": ("novelty (median distance to the nearest training image)", "1", 2),
    "copies": (f"share of pictures with a novelty under {COPY_RATIO}", "0", 3),
}


@dataclass(frozen=True)
class Report:
    """One evaluation. metrics: name → value, the features in the name. classes: a row a class and features.
    consistency: a row for each class that a critic was asked about.

    count, reference_count, training_count: drawn, real and training images. sheets: "samples" and, where there were
    training images, "nearest" (drawn picture beside its nearest training image, the closest pairs first).
    """

    name: str
    features: tuple[str, ...]
    count: int
    reference_count: int
    training_count: int
    truncation: float
    seed: int
    metrics: Mapping[str, float]
    classes: tuple[ClassRow, ...] = ()
    consistency: tuple[ConsistencyRow, ...] = ()
    notes: tuple[str, ...] = ()
    sheets: Mapping[str, Image.Image] = field(default_factory=dict, repr=False, compare=False)

    @property
    def collapsed(self) -> tuple[str, ...]:
        """Names of the classes that have collapsed, in any network's eyes."""
        return tuple(dict.fromkeys(row.name for row in self.classes if row.collapsed))

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, as plain JSON values; what could not be measured is absent or null."""
        fields = {key: getattr(self, key) for key in ("name", "count", "reference_count", "training_count")}
        rows = [asdict(row) | {"ratio": row.ratio, "collapsed": row.collapsed} for row in self.classes]
        return fields | {
            "features": list(self.features),
            "truncation": self.truncation,
            "seed": self.seed,
            "size": EVALUATION_SIZE,
            "metrics": {key: value for key, value in self.metrics.items() if math.isfinite(value)},
            "classes": rows,
            "consistency": [asdict(row) for row in self.consistency],
            "collapsed": list(self.collapsed),
            "notes": list(self.notes),
        }


def reading(metric: str) -> tuple[str, str, str]:
    """A metric's name in words, its features and which way is better: kid-vgg16 → ("KID", "vgg16", "lower")."""
    for start in sorted(READINGS, key=len, reverse=True):
        if metric.startswith(f"{start}-"):
            return READINGS[start][0], metric[len(start) + 1 :], READINGS[start][1]
    return metric, "", ""


def value_text(metric: str, metrics: Mapping[str, float]) -> str:
    """A metric as the card shows it, with its deviation where it has one; a dash where it was not measured."""
    value = metrics.get(metric)
    if value is None or not math.isfinite(value):
        return "–"
    start = max((start for start in READINGS if metric.startswith(f"{start}-")), key=len, default="")
    decimals = READINGS[start][2] if start else 4
    deviation = metrics.get(f"{metric}-deviation")
    return f"{value:.{decimals}f}" + (f" ± {deviation:.{decimals}f}" if deviation is not None else "")


def card_section(reports: Mapping[str, Report]) -> str:
    """Markdown: a table with a column a report, the classes of the first report, and what was measured on.

    reports: column heading → report, the model's own first, for example "this model", "DCGAN", "real images".
    """
    if not reports:
        raise ValueError("a card needs a report")
    first = next(iter(reports.values()))
    parts = [_metric_table(reports), _class_table(first), _consistency_table(first), _basis(first)]
    return "\n\n".join(part for part in parts if part)


def _metric_table(reports: Mapping[str, Report]) -> str:
    metrics = dict.fromkeys(
        metric for report in reports.values() for metric in report.metrics if not metric.endswith("-deviation")
    )
    lines = [_row("metric", "features", "better", *reports), _row(*["---"] * 3, *["---:"] * len(reports))]
    for metric in metrics:
        values = (value_text(metric, report.metrics) for report in reports.values())
        lines += [_row(*reading(metric), *values)]
    return "\n".join(lines)


def _class_table(report: Report) -> str:
    if not report.classes:
        return ""
    heads = ("class", "features", "drawn", "real", "KID", "diversity", "of real", "ratio", "novelty", "copies")
    lines = [_row(*heads), _row("---", "---", *["---:"] * (len(heads) - 2))]
    for row in report.classes:
        kid = "–" if row.kid is None else f"{row.kid:.4f} ± {row.kid_deviation:.4f}"
        ratio = _number(row.ratio, 2) + (" **collapsed**" if row.collapsed else "")
        diversity, real = _number(row.diversity, 3), _number(row.reference_diversity, 3)
        tail = (kid, diversity, real, ratio, _number(row.novelty, 2), _number(row.copies, 3))
        lines.append(_row(row.name, row.features, str(row.count), str(row.reference), *tail))
    return "\n".join(lines)


def _consistency_table(report: Report) -> str:
    if not report.consistency:
        return ""
    heads = ("class", "critic", "drawn", "called so", "real", "called so")
    lines = [_row(*heads), _row("---", "---", *["---:"] * (len(heads) - 2))]
    for row in report.consistency:
        counts = (str(row.count), _number(row.share, 2), str(row.reference), _number(row.real, 2))
        lines.append(_row(row.name, row.critic, *counts))
    return "\n".join(lines)


def _basis(report: Report) -> str:
    training = f", novelty against {report.training_count} training images" if report.training_count else ""
    text = (
        f"{report.count} pictures (seeds from {report.seed}, truncation {report.truncation:g}) against "
        f"{report.reference_count} held-out images{training}; all brought to {EVALUATION_SIZE} px. The features are "
        "named because figures on different features cannot be compared: none of these is Inception's FID unless it "
        "says so. Novelty is the distance to the nearest training image, mirrored or not, in units of the training "
        "images' own median distance to their nearest neighbour."
    )
    return "\n\n".join((text, *report.notes))


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def update_card(path: Path, reports: Mapping[str, Report]) -> None:
    """Write the tables of an evaluation into a Markdown card, see `write_section`."""
    write_section(path, card_section(reports))


def write_section(path: Path, section: str) -> None:
    """Write a section of figures between its markers in a Markdown card, or at its end, or into a new card. Atomic."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else f"# {path.stem}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(f"The card {shown(path)} cannot be read as text: {error}.") from None
    updated = insert_section(text, section, shown(path))
    with atomic_write(path) as temporary:
        temporary.write_text(updated, encoding="utf-8")


def insert_section(text: str, section: str, name: str = "card") -> str:
    """The card's text with the section in place of the old one between the markers, everything else untouched."""
    block = f"{START}\n{section}\n{END}"
    starts, ends = text.count(START), text.count(END)
    if starts == ends == 0:
        return f"{text.rstrip()}\n\n{HEADING}\n\n{block}\n"
    if starts != 1 or ends != 1 or text.index(START) > text.index(END):
        raise StudioError(f"{name} must hold one {START!r} and after it one {END!r}; found {starts} and {ends}.")
    return re.sub(f"{re.escape(START)}.*?{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)
