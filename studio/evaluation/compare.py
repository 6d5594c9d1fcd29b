"""One set of images against another: every metric by its name, and the table of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.evaluation.features import Description, FeatureNet
from studio.evaluation.metrics import Novelty, fid, kid, precision_recall

# A class whose diversity is a smaller part of the real one's has collapsed. m pictures repeated over and over, as far
# apart as real ones, come out at 1 − 1/m: so this flags three or fewer, and recall has to tell of more.
COLLAPSE_RATIO = 0.7
CLASS_MINIMUM = 8  # fewer images than this on either side say nothing about a class


@dataclass(frozen=True)
class ClassRow:
    """One class in one network's eyes. count, reference: drawn and real images. None: too few images to say.

    diversity, reference_diversity: mean distance of two drawn, two real images of the class. ratio: first over second.
    novelty: median distance to the nearest training image, over the training images' own. copies: share under 0.5.
    """

    name: str
    features: str
    count: int
    reference: int
    kid: float | None = None
    kid_deviation: float | None = None
    diversity: float | None = None
    reference_diversity: float | None = None
    novelty: float | None = None
    copies: float | None = None

    @property
    def ratio(self) -> float | None:
        """Diversity over that of the real images of the class."""
        if self.diversity is None or not self.reference_diversity:
            return None
        return self.diversity / self.reference_diversity

    @property
    def collapsed(self) -> bool:
        """True where the drawn images of the class are too much alike."""
        return self.ratio is not None and self.ratio < COLLAPSE_RATIO


def compare(
    net: FeatureNet, reference: Description, drawn: Description, novelty: Novelty | None, seed: int = 0
) -> dict[str, float]:
    """Metrics of the drawn images against the real ones, each named after the features (kid-vgg16)."""
    name = net.name
    mean, deviation = kid(reference.pooled, drawn.pooled, seed=seed)
    precision, recall = precision_recall(reference.pooled, drawn.pooled, seed=seed)
    metrics = {
        f"kid-{name}": mean,
        f"kid-{name}-deviation": deviation,
        f"fid-{name}": fid(reference.pooled, drawn.pooled),
        f"precision-{name}": precision,
        f"recall-{name}": recall,
        f"diversity-{net.distance}-{name}": drawn.diversity,
    }
    if reference.diversity > 0:
        metrics[f"diversity-ratio-{name}"] = drawn.diversity / reference.diversity
    if novelty is not None:
        metrics |= {f"novelty-{name}": novelty.median, f"copies-{name}": novelty.copies}
    return metrics


def compare_classes(
    net: FeatureNet,
    classes: Sequence[str],
    reference: Description,
    drawn: Description,
    novelties: Mapping[int, Novelty],
    seed: int = 0,
) -> tuple[ClassRow, ...]:
    """A row for each class of which there are drawn and real images; both are labelled by their place in classes."""
    rows = []
    for label, name in enumerate(classes):
        real, fake = reference.of_class(label), drawn.of_class(label)
        if not len(real) or not len(fake):
            continue
        if min(len(real), len(fake)) < CLASS_MINIMUM:
            rows.append(ClassRow(name, net.name, len(fake), len(real)))
            continue
        mean, deviation = kid(real, fake, seed=seed)
        own = novelties.get(label)
        rows.append(
            ClassRow(
                name, net.name, len(fake), len(real), mean, deviation, drawn.within[label], reference.within[label],
                own.median if own else None, own.copies if own else None,
            )
        )  # fmt: skip
    return tuple(rows)


def class_metrics(net: FeatureNet, rows: Sequence[ClassRow]) -> dict[str, float]:
    """What the table of classes comes down to: how many have collapsed and the smallest diversity ratio."""
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not ratios:
        return {}
    collapsed = sum(row.collapsed for row in rows)
    return {f"diversity-ratio-worst-class-{net.name}": min(ratios), f"collapsed-classes-{net.name}": float(collapsed)}
