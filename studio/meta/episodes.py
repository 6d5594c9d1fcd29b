"""Tasks, held apart, and the episodes drawn from them: a few pictures to learn from, others to be judged by.

A task is what one label names: an artist, a class, a folder. Which column of the index is the label is chosen where the
data are read (`read_dataset(..., column="artist")`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import DataError, InvalidRequest
from studio.meta.augment import TaskAugmentation, draw_transform, transform_pictures


@dataclass(frozen=True)
class Task:
    """Pictures that belong together. index: their places in the ImageSet that the task was found in."""

    name: str
    index: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class Episode:
    """One problem of learning from few. support: (k,3,S,S) uint8 to learn from. query: (q,3,S,S) uint8, others."""

    task: Task
    support: Tensor
    query: Tensor


def tasks(data: ImageSet, minimum: int) -> tuple[Task, ...]:
    """The labels with at least `minimum` pictures, in the order of the classes. Raises DataError where none has."""
    groups: list[list[int]] = [[] for _ in data.classes]
    for place, label in enumerate(data.labels.tolist()):
        if label >= 0:
            groups[label].append(place)
    if not any(groups):
        raise DataError("No picture has a label; name the column that tells the tasks apart, or use a folder for each.")
    found = tuple(Task(n, tuple(g)) for n, g in zip(data.classes, groups, strict=True) if len(g) >= max(minimum, 1))
    if not found:
        most = max(range(len(groups)), key=lambda k: len(groups[k]))
        raise DataError(
            f"No task has {minimum} pictures; the largest, {data.classes[most]!r}, has {len(groups[most])}: "
            "lower the minimum or add pictures."
        )
    return found


def split(tasks: Sequence[Task], share: float, seed: int) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """Training tasks and held-out ones, about `share` of the names, each sorted by name.

    Names are ranked by a hash of seed and name, so that the order in which they come plays no part, and a name that is
    added moves at most one other. Tasks of one name, found in two data sets, stay together.
    """
    names = {task.name for task in tasks}
    if not 0 < share < 1:
        raise InvalidRequest(f"The share of held-out tasks must lie between 0 and 1; got {share}.")
    if len(names) < 2:
        raise DataError(f"{len(names)} task cannot be split in two; at least 2 are needed.")
    ranked = sorted(names, key=lambda name: (hashlib.sha256(f"{seed}\n{name}".encode()).digest(), name))
    chosen = set(ranked[: min(max(round(share * len(names)), 1), len(names) - 1)])
    ordered = sorted(tasks, key=lambda task: (task.name, task.index))
    kept = tuple(task for task in ordered if task.name not in chosen)
    return kept, tuple(task for task in ordered if task.name in chosen)


def held_apart(first: Sequence[Task], second: Sequence[Task]) -> None:
    """Raise DataError where a name is in both sets.

    Names say nothing of tasks by another label: a genre may hold pictures of a held-out artist. So tasks by genre are
    to be found among the pictures that remain when the held-out artists' are taken away.
    """
    shared = sorted({task.name for task in first} & {task.name for task in second})
    if shared:
        others = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise DataError(f"The task {shared[0]!r}{others} is in both sets; take it out of one of them.")


@dataclass(frozen=True, eq=False)
class EpisodeSampler:
    """Draws episodes.

    shots: sizes of the support, of which those are drawn that a task can give. queries: most pictures in a query.
    least_queries: pictures that always stay for it. augmentation: varies the drawn tasks, never the fixed episodes.
    """

    data: ImageSet
    tasks: tuple[Task, ...]
    shots: tuple[int, ...] = (5, 10, 20)
    queries: int = 20
    least_queries: int = 5
    augmentation: TaskAugmentation | None = None

    def __post_init__(self) -> None:
        if not self.tasks or not self.shots or min(self.shots) < 1:
            raise InvalidRequest("Episodes need at least 1 task and 1 size of the support, of at least 1 picture.")
        if not 1 <= self.least_queries <= self.queries:
            raise InvalidRequest(
                f"least_queries must be from 1 to queries; got {self.least_queries} and {self.queries}."
            )
        for task in self.tasks:
            self._check(task, min(self.shots))

    def draw(self, generator: torch.Generator) -> Episode:
        """Any task, any of the shots that it can give, any of its pictures, in any palette."""
        task = self.tasks[_below(len(self.tasks), generator)]
        possible = [shots for shots in self.shots if shots + self.least_queries <= len(task)]
        shots = possible[_below(len(possible), generator)]
        episode = self._episode(task, *self._deal(task, shots, torch.randperm(len(task), generator=generator)))
        return episode if self.augmentation is None else augment_episode(episode, self.augmentation, generator)

    def fixed(self, task: Task, shots: int, draw_index: int) -> Episode:
        """The same episode every time: it depends on the task's name and pictures, the shots and the draw alone.

        With more shots the support grows by further pictures, and the query ends with the same ones, so that supports
        of different sizes are compared fairly.
        """
        return self._episode(task, *self.fixed_places(task, shots, draw_index))

    def fixed_places(self, task: Task, shots: int, draw_index: int) -> tuple[Tensor, Tensor]:
        """Where the support (k,) and the query (q,) of a fixed episode lie in the ImageSet."""
        self._check(task, shots)
        seed = int.from_bytes(hashlib.sha256(f"{task.name}\n{draw_index}".encode()).digest()[:7])
        return self._deal(task, shots, torch.randperm(len(task), generator=torch.Generator().manual_seed(seed)))

    def _deal(self, task: Task, shots: int, order: Tensor) -> tuple[Tensor, Tensor]:
        """Places of the support from the front of an order of the task's pictures, of the query from its end."""
        index = torch.tensor(task.index)[order]
        return index[:shots], index[max(shots, len(task) - self.queries) :]

    def _episode(self, task: Task, support: Tensor, query: Tensor) -> Episode:
        return Episode(task, self.data.images[support], self.data.images[query])

    def _check(self, task: Task, shots: int) -> None:
        if not 1 <= shots <= len(task) - self.least_queries:
            raise DataError(
                f"The task {task.name!r} has {len(task)} pictures; a support of {shots} and a query of at least "
                f"{self.least_queries} need {max(shots, 1) + self.least_queries}, the support at least 1."
            )


def augment_episode(episode: Episode, augmentation: TaskAugmentation, generator: torch.Generator) -> Episode:
    """A new task from an old one: one drawn transformation for support and query alike."""
    transform = draw_transform(augmentation, generator)
    return replace(
        episode,
        support=transform_pictures(episode.support, transform),
        query=transform_pictures(episode.query, transform),
    )


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
