"""Held-out artists before and after an adaptation: pictures for people, and how near the samples have come."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from studio.adapt.distance import energy_distance
from studio.adapt.job import shown
from studio.adapt.student import Student
from studio.core.dataset import ImageSet
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.evaluation.features import feature_net
from studio.evaluation.metrics import kernel_distance
from studio.meta.episodes import Episode, EpisodeSampler, Task
from studio.training.options import TrainOptions

ARTISTS = 6
SUPPORT = 10  # pictures, or half of an artist's where there are fewer than twice as many
QUERIES = 40
SAMPLES = 48
EACH = 4  # pictures of the support, of before and of after in a row


class Adapting(Protocol):
    """A trainer whose model can be adapted."""

    config: Any
    held_out: tuple[Task, ...]

    def student(self, painter: Any, pictures: Tensor, generator: torch.Generator) -> Student: ...


class EpisodeSheet:
    """Always the same episodes and seeds. The figures are those of the drawing that came before them."""

    def __init__(self, trainer: Adapting, data: ImageSet, options: TrainOptions) -> None:
        self.trainer, self.seed, self.precision = trainer, options.seed, options.precision
        tasks = trainer.held_out[:ARTISTS]
        sampler = EpisodeSampler(data, tasks, (1,), QUERIES, 1)
        self.episodes = [sampler.fixed(task, min(SUPPORT, len(task) // 2), 0) for task in tasks]
        self.net = feature_net(f"vgg16={trainer.config.judge}") if trainer.config.judge else None
        self.found: dict[str, float] = {}

    def draw(self, model: Any) -> Image.Image:
        """A row for each artist: their pictures, the first samples before a step, the same after the last."""
        pictures: list[Image.Image] = []
        rows: list[dict[str, float]] = []
        for episode in self.episodes:
            before, after, figures = self._adapt(model, episode)
            rows.append(figures)
            for group in (episode.support, before, after):
                repeated = group[torch.arange(EACH) % len(group)]
                pictures += [to_image(x.float().div(127.5).sub(1)) for x in repeated]
        self.found = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        return tile(pictures, 3 * EACH)

    def measure(self, model: Any) -> Mapping[str, float]:
        """Means over the artists: the energy distance to their other pictures, in units of the set encoder's features,
        before the first step and after the last; and the kernel distance by VGG16, where it is given."""
        if not self.found:
            self.draw(model)
        found, self.found = self.found, {}
        return found

    def _adapt(self, model: Any, episode: Episode) -> tuple[Tensor, Tensor, dict[str, float]]:
        device = model.generator.w_mean.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            random = torch.Generator().manual_seed(self.seed)
            student = self.trainer.student(model, episode.support, random)
            z = torch.randn(SAMPLES, model.generator.latent_dim, generator=random).to(device)
            before = shown(student.show(z))
            for _ in range(self.trainer.config.inner_steps):
                student.step()
            after = shown(student.show(z))
            query = self._described(student, episode.query)
            figures = {
                f"energy-{name}": float(energy_distance(self._described(student, x), query))
                for name, x in (("before", before), ("after", after))
            }
        if self.net is not None:
            real = self._pooled(episode.query)
            for name, x in (("before", before), ("after", after)):
                figures[f"kid-vgg16-{name}"] = kernel_distance(real, self._pooled(x))
        return before, after, figures

    @torch.no_grad()
    def _described(self, student: Student, pictures: Tensor) -> Tensor:
        x = pictures.to(student.device).float().div(127.5).sub(1)
        return student.encoder.unit(student.discriminator.describe(x))

    @torch.no_grad()
    def _pooled(self, pictures: Tensor) -> Tensor:
        assert self.net is not None
        return torch.cat([self.net(x).pooled.float() for x in pictures.split(32)])
