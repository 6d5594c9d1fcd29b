"""The critic: a classifier that says what a picture is of, and so whether a generator's classes are what they claim."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.evaluation.confusion import confusion
from studio.evaluation.features import EVALUATION_SIZE, resized, training_features
from studio.models.classifier import Classifier

NAME = "classifier"  # of the critic's file where none is named


@dataclass(frozen=True)
class Critic:
    """A loaded classifier. name: as in the metrics. classes: in the order of its logits. features: those that its own
    training used."""

    name: str
    model: Classifier
    classes: tuple[str, ...]
    features: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device


@dataclass(frozen=True)
class ConsistencyRow:
    """One class in a critic's eyes. count, reference: drawn and real pictures of it. share, real: of these, those that
    the critic calls by the class's name; None where there are none."""

    name: str
    critic: str
    count: int
    reference: int
    share: float | None
    real: float | None


def open_critic(opened: Checkpoint, device: torch.device | str = "cpu") -> Critic:
    """The critic that a checkpoint holds. Raises CheckpointError where it is of another kind."""
    model = opened.build_module()
    if not isinstance(model, Classifier):
        raise CheckpointError(f"{opened.path.name} is of kind {opened.kind!r}; a critic is of kind 'classifier'.")
    model.requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    return Critic(opened.path.stem, model, opened.classes, training_features(opened.provenance))


def shared_eyes(critic: Critic, trained_on: Iterable[str]) -> tuple[str, ...]:
    """Networks that both the critic's and a model's training used, and the critic itself where a model learnt by it.

    Layers count as their network: vgg16-relu3_3 is vgg16.
    """
    own = {_network(name) for name in (*critic.features, critic.name, NAME)}
    return tuple(dict.fromkeys(name for name in map(_network, trained_on) if name in own))


def refuse_shared_eyes(critic: Critic, trained_on: Iterable[str]) -> None:
    """A model is not judged by a critic that was trained with the same features as it. Raises InvalidRequest."""
    shared = shared_eyes(critic, trained_on)
    if shared:
        raise InvalidRequest(
            f"This model was trained with {shared[0]} features, as the critic {critic.name!r} was, and would flatter "
            "itself before it; name another by --critic, or --critic none."
        )


def called(critic: Critic, images: Tensor, batch: int) -> Generator[int, None, Tensor]:
    """What the critic calls each picture; yields how many more are done. images: (N,3,H,W) uint8 → (N,) int64, a place
    in critic.classes. All are brought to 128 px first, as every picture that is judged."""
    found = []
    for chunk in images.split(batch):
        x = resized(chunk.to(critic.device), EVALUATION_SIZE).mul(2).sub(1)
        found.append(critic.model.probabilities(x.contiguous(memory_format=torch.channels_last)).argmax(dim=1).cpu())
        yield len(chunk)
    return torch.cat(found)


def consistency(
    critic: Critic, classes: Sequence[str], drawn: Tensor, drawn_as: Tensor, real: Tensor, real_as: Tensor
) -> tuple[ConsistencyRow, ...]:
    """A row for each class that the critic knows and that was drawn.

    drawn, real: (N,), (M,) classes of the pictures, as places in `classes`. drawn_as, real_as: what the critic calls
    them, as places in critic.classes.
    """
    rows = []
    for label, name in enumerate(classes):
        if name not in critic.classes or not bool((drawn == label).any()):
            continue
        own = critic.classes.index(name)
        fake, true = drawn_as[drawn == label] == own, real_as[real == label] == own
        rows.append(ConsistencyRow(name, critic.name, len(fake), len(true), _share(fake), _share(true)))
    return tuple(rows)


def consistency_metrics(critic: Critic, rows: Sequence[ConsistencyRow]) -> dict[str, float]:
    """The mean over classes of the share that the critic calls by the class's name, for drawn and for real pictures."""
    means = {
        f"class-consistency-{critic.name}": [row.share for row in rows if row.share is not None],
        f"class-consistency-real-{critic.name}": [row.real for row in rows if row.real is not None],
    }
    return {name: sum(shares) / len(shares) for name, shares in means.items() if shares}


def confusion_on(critic: Critic, images: Tensor, labels: Tensor, batch: int) -> Generator[int, None, Tensor]:
    """The critic's confusion matrix on labelled pictures; yields as `called`. images: (N,3,H,W) uint8, labels: (N,)
    places in critic.classes → (K,K)."""
    found = yield from called(critic, images, batch)
    return confusion(labels, found, len(critic.classes))


def _share(hits: Tensor) -> float | None:
    return float(hits.double().mean()) if len(hits) else None


def _network(name: str) -> str:
    for mark in "-.:":
        name = name.partition(mark)[0]
    return name
