"""Train the stylizer on one GPU by replaying a recorded step: what its step launches takes longer to launch than to do.

    python -m bench.replay photos.zip paintings.zip OUT/stylizer.safetensors --init BEFORE.safetensors --seconds 540 \
        --config encoder=encoder.safetensors --config teacher=vgg16.safetensors --config batch=16 --config styles_each=2

Losses and settings are those of the recipe `stylizer`, whose step this is but for two things: the learning rate follows
the time and not the pictures (up over the first fiftieth, then down to 0 by half a cosine), and codes are read at
five sizes in turn, one recorded graph each. All matrices of a shape are turned by Muon at once. On a CPU nothing is
recorded, which is for a rehearsal. Nothing is resumed; the checkpoint is written at the end.
"""

import argparse
import dataclasses
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from studio.cli.parse import settings
from studio.core import checkpoint
from studio.core.dataset import ImageSet, read_dataset
from studio.core.errors import TrainingError
from studio.core.fields import configure
from studio.style.sight import READ, SIGHT
from studio.training.data import content_and_style
from studio.training.ema import Average
from studio.training.init import initialise, lineage
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES
from studio.training.stylizer import StylizerTrainer

SIGHTS = [READ + (SIGHT - READ) * part / 4 for part in range(5)]
WARM_UP = 0.02  # share of the time
MOMENTUM, ROUNDS = 0.95, 5
COEFFICIENTS = (3.4445, -4.775, 2.0315)
SAY = 10.0  # seconds


class Muon:
    """As torch.optim.Muon with steps of Adam's size (Liu et al. 2025, eq. 4), all matrices of a shape at once."""

    def __init__(self, matrices: Sequence[Tensor], rate: Tensor) -> None:
        self.rate = rate
        self.groups: dict[tuple[int, ...], list[Tensor]] = {}
        for matrix in matrices:
            self.groups.setdefault(tuple(matrix.shape), []).append(matrix)
        self.moments = {shape: matrices[0].new_zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self) -> None:
        for shape, group in self.groups.items():
            slopes = torch.stack([matrix.grad for matrix in group if matrix.grad is not None])
            moment = self.moments[shape].lerp_(slopes, 1 - MOMENTUM)
            turned = orthogonal(slopes.lerp(moment, MOMENTUM))
            torch._foreach_sub_(group, list((turned * (self.rate * 0.2 * math.sqrt(max(shape)))).unbind(0)))


def orthogonal(x: Tensor) -> Tensor:
    """Matrices (N,A,B) with their singular values brought near 1, by Newton and Schulz in bfloat16 (Jordan et al.
    2024, Muon). → float32."""
    first, second, third = COEFFICIENTS
    tall = x.shape[1] > x.shape[2]
    x = (x.transpose(1, 2) if tall else x).bfloat16()
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x)
    for _ in range(ROUNDS):
        square = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=second, alpha=third), x, beta=first)
    return (x.transpose(1, 2) if tall else x).float()


class Steps:
    """Steps of a trainer, recorded where the device can. rate: the learning rate, a scalar on the device."""

    def __init__(self, trainer: StylizerTrainer, batches: Any, batch: int, device: torch.device) -> None:
        self.trainer, self.batches, self.device = trainer, batches, device
        self.rate = torch.zeros((), device=device)
        parameters = list(trainer.model.parameters())
        self.adam = torch.optim.Adam(
            [p for p in parameters if p.dim() != 2],
            self.rate,
            (0.9, 0.99),
            foreach=device.type == "cuda",
            capturable=device.type == "cuda",
        )
        self.muon = Muon([p for p in parameters if p.dim() == 2], self.rate)
        self.random = torch.Generator().manual_seed(1)  # of the pictures
        side = trainer.config.crop
        empty = torch.zeros(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
        self.contents, self.styles = empty, empty.clone()
        self.recorded: dict[float, tuple[torch.cuda.CUDAGraph, dict[str, Tensor]]] = {}
        self._feed()
        if device.type == "cuda":
            self._aside = torch.cuda.Stream()
            self._record()

    def _record(self) -> None:
        """One graph for each size. The rate is 0 meanwhile: weights stay, and the optimisers are cleared in place,
        where the graphs know them."""
        pool = None
        for sight in SIGHTS:
            self._aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._aside):
                for _ in range(2):
                    self._step(sight)
            torch.cuda.current_stream().wait_stream(self._aside)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                terms = self._step(sight)
            pool = graph.pool()
            self.recorded[sight] = graph, terms
        kept = [x for state in self.adam.state.values() for x in state.values() if isinstance(x, Tensor)]
        for x in (*kept, *self.muon.moments.values()):
            x.zero_()

    def _step(self, sight: float) -> dict[str, Tensor]:
        cuda = self.device.type == "cuda"
        generator = torch.cuda.default_generators[self.device.index or 0] if cuda else torch.default_generator
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            loss, terms = self.trainer.loss(self.contents, self.styles, sight, generator)
        self.trainer.model.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        self.muon.step()
        return {"loss": loss.detach(), **terms}

    def _feed(self) -> None:
        for mine, drawn in zip((self.contents, self.styles), self.batches.draw(self.random), strict=True):
            mine.copy_(drawn)

    def run(self, sight: float) -> dict[str, Tensor]:
        """One step; the next pictures are cut while the device works."""
        if sight not in self.recorded:
            terms = self._step(sight)
            self._feed()
            return terms
        graph, terms = self.recorded[sight]
        graph.replay()
        current = torch.cuda.current_stream()
        with torch.cuda.stream(self._aside):
            drawn = self.batches.draw(self.random)
        current.wait_stream(self._aside)
        for mine, x in zip((self.contents, self.styles), drawn, strict=True):
            mine.copy_(x)
            x.record_stream(current)
        return terms


def train(given: argparse.Namespace, data: ImageSet) -> checkpoint.Checkpoint:
    """→ the checkpoint that is written."""
    recipe = RECIPES["stylizer"]
    chosen = settings(given.config)
    options = TrainOptions(
        given.out, batch=int(chosen.pop("batch", 16)), ema_images=int(chosen.pop("ema_images", 12_000))
    )
    of_model = {field.name for field in dataclasses.fields(recipe.model)}
    model_config = configure(recipe.model, {name: value for name, value in chosen.items() if name in of_model})
    config = configure(recipe.trainer, {name: value for name, value in chosen.items() if name not in of_model})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    trainer = StylizerTrainer(model_config, config, 0)
    initialise(trainer.model, given.init, "stylizer", ())
    trainer.to(device)
    sheet = recipe.showcase(trainer, False, data, options)
    average = Average(trainer.model.train(), options.ema_images)
    steps = Steps(trainer, recipe.batches(trainer, False, data, options, device), options.batch, device)
    order, images, count, began = random.Random(0), 0, 0, time.monotonic()
    said = began
    while (gone := (time.monotonic() - began) / given.seconds) < 1:
        steps.rate.fill_(config.learning_rate * min(1.0, gone / WARM_UP) * (1 + math.cos(math.pi * gone)) / 2)
        terms = steps.run(order.choice(SIGHTS))
        images, count = images + options.batch, count + 1
        average.update(trainer.model, images + 5_000, options.batch)
        if count % 8 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # so that time is what was done, and not what was asked for
        if time.monotonic() - said > SAY:
            said, values = time.monotonic(), {name: round(float(value), 4) for name, value in terms.items()}
            print(f"{images} pictures, {gone:.0%}: {values}", flush=True)
            if not math.isfinite(values["loss"]):
                raise TrainingError(f"The loss was not finite at {images} pictures; try a lower learning rate.")
    measured = dict(sheet.measure(average.model))
    stage = {name: Path(x).name if isinstance(x, str) else x for name, x in dataclasses.asdict(config).items()}
    return checkpoint.save(
        given.out,
        average.model.cpu().eval(),
        kind="stylizer",
        config=dataclasses.asdict(model_config),
        classes=(),
        provenance={
            **settings(given.note),
            "recipe": "stylizer",
            "stages": [{"from": 0, "trainer": {**stage, "muon": True, "horizon": images}}],
            "init": lineage(given.init),
            "training_features": list(trainer.features),
            "training_images": len(data),
            "images_seen": images,
            "batch": options.batch,
            "seconds": round(given.seconds),
            "device": device.type,
        },
        metrics=measured,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("paintings", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--init", type=Path, required=True, help="the checkpoint to start from")
    parser.add_argument("--seconds", type=float, required=True, help="of training")
    parser.add_argument(
        "--config", action="append", default=[], metavar="NAME=VALUE", help="as for studio train stylizer"
    )
    parser.add_argument("--note", action="append", default=[], metavar="NAME=TEXT", help="for the provenance")
    given = parser.parse_args()
    side = int(settings(given.config).get("picture", 224))
    data = content_and_style(*(read_dataset([path], side) for path in (given.photographs, given.paintings)))
    saved = train(given, data)
    print(f"{saved.path}: {saved.metrics}")


if __name__ == "__main__":
    main()
