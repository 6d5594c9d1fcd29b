"""Sets of pictures to condition on, and other pictures of the same tasks to be shown."""

from typing import Protocol

import torch
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.models.learner import SetDiscriminator, SetEncoder
from studio.training.options import TrainOptions

SHOTS = (5, 10, 20)
UNLABELLED = ("", "unlabelled")
READ_BATCH = 64  # pictures whose features are read at once


class TaskSettings(Protocol):
    """What tells tasks and classes in a trainer's settings; see `SetTraining`."""

    @property
    def column(self) -> str: ...
    @property
    def smallest_task(self) -> int: ...
    @property
    def smallest_class(self) -> int: ...
    @property
    def held_out(self) -> int: ...


class SetSettings(TaskSettings, Protocol):
    """What is asked of a trainer's settings here; see `SetTraining`."""

    @property
    def genres(self) -> float: ...
    @property
    def each(self) -> int: ...


@torch.no_grad()
def read_features(discriminator: SetDiscriminator, images: Tensor, device: torch.device) -> Tensor:
    """(N,3,S,S) uint8 → (N,F) on the CPU."""
    parts = [discriminator.describe(x.to(device).float().div(127.5).sub(1)).cpu() for x in images.split(READ_BATCH)]
    return torch.cat(parts)


def classes_of(config: TaskSettings, data: ImageSet) -> tuple[str, ...]:
    """The genres with enough pictures, whether those are by artists of a task or not."""
    counts = torch.bincount(data.labels[data.labels >= 0], minlength=len(data.classes)).tolist()
    named = zip(data.classes, counts, strict=True)
    return tuple(name for name, count in named if count >= config.smallest_class and name not in UNLABELLED)


def groups(values: tuple[str, ...]) -> dict[str, list[int]]:
    """Places by value, those without one left out."""
    found: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        if value not in UNLABELLED:
            found.setdefault(value, []).append(place)
    return found


def artists_of(config: TaskSettings, data: ImageSet) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Places of the pictures of the artists to train on, and of those held out, by name. Which are held out is the same
    for every run on the same data."""
    if config.column not in data.columns:
        known = ", ".join(data.columns) or "none"
        raise TrainingError(f"The data have no column {config.column!r} in their index; known: {known}.")
    artists = groups(data.columns[config.column])
    large = sorted(name for name, places in artists.items() if len(places) >= config.smallest_task)
    if len(large) <= config.held_out:
        raise TrainingError(
            f"Only {len(large)} tasks have {config.smallest_task} pictures and {config.held_out} are held out; "
            "give more data, or lower smallest_task or held_out."
        )
    order = torch.randperm(len(large), generator=torch.Generator().manual_seed(0)).tolist()
    held_out, rest = order[: config.held_out], sorted(order[config.held_out :])
    trained, shown = ({large[i]: torch.tensor(artists[large[i]]) for i in places} for places in (rest, held_out))
    return trained, shown


def class_embeddings(config: TaskSettings, data: ImageSet, features: Tensor, encoder: SetEncoder) -> Tensor:
    """What a set encoder makes of all the pictures of each class. features: (N,F) → (K,E)."""
    found = []
    for name in classes_of(config, data):
        members = torch.tensor([k for k, label in enumerate(data.labels) if data.classes[int(label)] == name])
        found.append(encoder(features[members].to(encoder.centre.device)).detach())
    return torch.stack(found)


class SetBatches:
    """Sets and other pictures of the same tasks. Artists are drawn by the square root of their pictures' number."""

    def __init__(
        self,
        config: SetSettings,
        discriminator: SetDiscriminator,
        data: ImageSet,
        options: TrainOptions,
        device: torch.device,
    ) -> None:
        if options.batch % config.each:
            raise TrainingError(f"batch must be a multiple of each ({config.each}); got {options.batch}.")
        trained, self.held_out = artists_of(config, data)
        kept = {place for places in self.held_out.values() for place in places.tolist()}
        genres = groups(tuple(data.classes[int(k)] if k >= 0 else "" for k in data.labels))
        self.artists = list(trained.values())
        self.genres = [torch.tensor([k for k in genres[name] if k not in kept]) for name in classes_of(config, data)]
        self.weights = torch.tensor([len(places) for places in self.artists]).sqrt()
        self.data, self.device, self.flip = data, device, options.flip
        self.tasks, self.each, self.share = options.batch // config.each, config.each, config.genres
        self.features = read_features(discriminator, data.images, device)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures (B,3,S,S) in [-1,1], row i of task i mod T, and features (T,k,F) of their sets."""
        shots = SHOTS[int(torch.randint(len(SHOTS), (), generator=generator))]
        count = int((torch.rand(self.tasks, generator=generator) < self.share).sum())
        chosen = [self.genres[int(k)] for k in torch.randint(len(self.genres), (count,), generator=generator)]
        if count < self.tasks:
            rest = torch.multinomial(self.weights, self.tasks - count, generator=generator)
            chosen += [self.artists[int(k)] for k in rest]
        sets, pictures = [], []
        for places in chosen:
            drawn = places[torch.randperm(len(places), generator=generator)]
            pictures.append(drawn[: self.each])
            others = drawn[self.each :][:shots]
            fill = torch.arange(shots) % len(others)  # a task with too few pictures shows some twice
            sets.append(self.features[others[fill]])
        index = torch.stack(pictures, dim=1).flatten()
        images = self.data.images[index].float().div(127.5).sub(1)
        if self.flip:
            mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        images = images.to(self.device).contiguous(memory_format=torch.channels_last)
        return images, torch.stack(sets).to(self.device)

    def measure(self, encoder: SetEncoder) -> None:
        """Tell an encoder what is usual."""
        deviation, mean = torch.std_mean(self.features, dim=0)
        encoder.centre.copy_(mean)
        encoder.scale.copy_(deviation.clamp_min(1e-3))
