"""The family of an evolutionary run: counters, a thinned-out history with thumbnails, and the log of generations."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.files import output_error
from studio.training.population import Birth

ROWS = 8  # generations of the tree; even
THUMBNAIL = 48  # px at most


@dataclass(frozen=True)
class Generation:
    """What one generation came to. scores: (P,3) quality, diversity, fitness. order: the children that survive, best
    first. thumbnails: (P,3,R,R) in [-1,1], one picture a child, all of the same noise.
    """

    births: Sequence[Birth]
    scores: Tensor
    order: Sequence[int]
    thumbnails: Tensor


class Family(nn.Module):
    """Counters and history as buffers, so that they are saved, resumed and rolled back with the networks.

    The history holds ROWS generations at most: when it is full, every second one goes and from then on half as many are
    kept. mother and father: (ROWS,P), places in the row before; −1 for none. roots: (survivors,), the place in the last
    row of the ancestor of each survivor. way: its mutation. age: steps since the last generation. seed: of what
    evolution draws, the same on every process.
    """

    seed: Tensor
    generation: Tensor
    born: Tensor
    ids: Tensor
    roots: Tensor
    way: Tensor
    age: Tensor
    count: Tensor
    stride: Tensor
    number: Tensor
    mother: Tensor
    father: Tensor
    mutation: Tensor
    fitness: Tensor
    survives: Tensor
    thumbnails: Tensor

    def __init__(self, population: int, survivors: int, resolution: int) -> None:
        super().__init__()
        side = min(resolution, THUMBNAIL)
        counters = {"generation": 0, "count": 0, "stride": 1, "born": survivors, "age": 0}
        for name, value in counters.items():
            self.register_buffer(name, torch.tensor(value))
        self.register_buffer("seed", torch.randint(2**31, ()))
        self.register_buffer("ids", torch.arange(survivors))
        self.register_buffer("roots", torch.full((survivors,), -1))
        self.register_buffer("way", torch.full((survivors,), -1))
        self.register_buffer("number", torch.zeros(ROWS, dtype=torch.int64))
        for name in ("mother", "father", "mutation"):
            self.register_buffer(name, torch.full((ROWS, population), -1))
        self.register_buffer("fitness", torch.zeros(ROWS, population))
        self.register_buffer("survives", torch.zeros(ROWS, population, dtype=torch.bool))
        self.register_buffer("thumbnails", torch.zeros(ROWS, population, 3, side, side, dtype=torch.uint8))

    def due(self, interval: int) -> bool:
        """Whether the next step is a generation, where one comes every `interval` steps; the first step is."""
        return int(self.generation) == 0 or int(self.age) >= interval

    def ways(self, mutations: Sequence[str]) -> list[str]:
        """The mutation that made each survivor."""
        return [mutations[way] for way in self.way.tolist()]

    def carry_on(self) -> None:
        """Take in a step without births."""
        self.age += 1

    def dice(self) -> torch.Generator:
        """What the next generation's choices are drawn from: the same on every process and after a resume."""
        return torch.Generator().manual_seed(int(self.seed) + int(self.generation))

    def advance(self, new: Generation, mutations: Sequence[str]) -> dict[str, Any]:
        """Take in a generation; returns its line for the log."""
        line = self._line(new)
        if int(self.generation) % int(self.stride) == 0:
            self._thin()
        if int(self.generation) % int(self.stride) == 0:
            self._keep(new, mutations)
            self.roots.copy_(torch.tensor(new.order))
        else:
            self.roots.copy_(self.roots[[new.births[place].mother for place in new.order]])
        self.ids.copy_(int(self.born) + torch.tensor(new.order))
        self.way.copy_(torch.tensor([mutations.index(new.births[place].mutation) for place in new.order]))
        self.age.fill_(1)
        self.born += len(new.births)
        self.generation += 1
        return line

    def _line(self, new: Generation) -> dict[str, Any]:
        children = []
        for place, (birth, scores) in enumerate(zip(new.births, new.scores.tolist(), strict=True)):
            parents = [birth.mother] if birth.father is None else [birth.mother, birth.father]
            children.append(
                {
                    "id": int(self.born) + place,
                    "parents": [int(self.ids[parent]) for parent in parents],
                    "mutation": birth.mutation,
                    "father_share": birth.share,
                    "weights_mutated": birth.shaken,
                    **dict(zip(("quality", "diversity", "fitness"), scores, strict=True)),
                    "survives": place in new.order,
                }
            )
        return {"generation": int(self.generation), "children": children}

    def _thin(self) -> None:
        """Make room in a full history: rows 0, 2, 4, … stay, and their parents become their grandparents."""
        if int(self.count) < ROWS:
            return
        self.roots.copy_(_through(self.mother[ROWS - 1], self.roots))
        for name in ("mother", "father"):
            table = getattr(self, name)
            table[2::2] = torch.stack([_through(self.mother[row - 1], table[row]) for row in range(2, ROWS, 2)])
        for name in ("number", "mother", "father", "mutation", "fitness", "survives", "thumbnails"):
            table = getattr(self, name)
            table[: ROWS // 2] = table[::2].clone()
        self.count.fill_(ROWS // 2)
        self.stride *= 2

    def _keep(self, new: Generation, mutations: Sequence[str]) -> None:
        row = int(self.count)
        self.number[row] = self.generation
        for place, birth in enumerate(new.births):
            self.mother[row, place] = self.roots[birth.mother]
            self.father[row, place] = -1 if birth.father is None else self.roots[birth.father]
            self.mutation[row, place] = mutations.index(birth.mutation)
        self.fitness[row] = new.scores[:, 2].to(self.fitness)
        self.survives[row] = False
        self.survives[row, list(new.order)] = True
        side = self.thumbnails.shape[-1]
        small = F.interpolate(new.thumbnails.float(), size=(side, side), mode="area")
        self.thumbnails[row] = small.add(1).mul(127.5).round().clamp(0, 255).to(self.thumbnails)
        self.count += 1


def _through(parents: Tensor, places: Tensor) -> Tensor:
    """The parents of those at `places`; −1 stays −1."""
    return torch.where(places < 0, -1, parents[places.clamp_min(0)])


class GenerationLog:
    """generations.jsonl: a line a generation, with its children, their parents' numbers, mutations and fitness.

    After a resume or a roll back generations are done again: a later line of the same number holds (`generations`).
    """

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        if fresh:
            self._write("w", "")

    def add(self, line: dict[str, Any]) -> None:
        self._write("a", json.dumps(line) + "\n")

    def _write(self, mode: str, text: str) -> None:
        try:
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise output_error(self.path, error) from error


def generations(path: Path) -> list[dict[str, Any]]:
    """The generations of a log in order, without what was done again later and without a line cut off by a crash."""
    kept: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        while kept and kept[-1]["generation"] >= line["generation"]:
            kept.pop()
        kept.append(line)
    return kept
