"""A small untrained base with its learner, and pictures of an artist to adapt it to."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from studio.core import checkpoint
from studio.models.base import measure_w_mean
from studio.models.gan import GanConfig, GanGenerator
from studio.models.learner import Learner, LearnerConfig

CLASSES = ("landscape", "portrait")
CONFIG = GanConfig(resolution=32, capacity=0.05, latent_dim=16, embedding=8)


def write_base(folder: Path, name: str = "meta", seed: int = 0, learner: bool = True) -> Path:
    """A base of 32 px, random but the same in every test; its learner beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"provenance": {}, "metrics": {}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        base = GanGenerator(CONFIG, len(CLASSES))
        for parameter in base.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)  # strong enough that seeds differ to the eye
        measure_w_mean(base.eval(), count=64)
        path = folder / f"{name}.safetensors"
        saved = checkpoint.save(path, base, kind="gan", config=CONFIG, classes=CLASSES, **about)
        if learner:
            config = LearnerConfig(embedding=CONFIG.embedding, hidden=8, condition=8, generator=saved.sha256)
            part = folder / f"{name}-learner.safetensors"
            checkpoint.save(part, Learner(config), kind="learner", config=config, classes=(), **about)
    return path


def work(seed: int, width: int = 80, height: int = 80) -> Image.Image:
    """A picture by an artist of soft spots in warm colours."""
    numbers = np.random.default_rng(seed)
    spots = numbers.integers(0, 256, (5, 5, 3), dtype=np.uint8) // np.array([1, 2, 4], dtype=np.uint8)
    return Image.fromarray(spots.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)


def write_works(folder: Path, count: int = 5) -> list[Path]:
    """So many works as files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"work-{index}.png" for index in range(count)]
    for index, file in enumerate(files):
        work(index).save(file)
    return files
