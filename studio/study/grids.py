"""The same seeds by every setting's model, a row each."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from studio.core import checkpoint
from studio.core.files import atomic_write
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.latent.seeds import noise
from studio.study.plan import Record

COLUMNS = 10
SHOWN = 64  # px at least, a picture


def grid(records: Sequence[Record], path: Path) -> Path:
    """A row for the first seed's run of each setting: pictures of the seeds 0, 1, 2, …, of the classes in turn."""
    pictures, labels = list[Image.Image](), []
    for record in firsts(records):
        pictures += pictures_of(record)
        labels.append(record.plan.setting.replace("→", " to "))  # PIL's own font has no arrow
    sheet = tile(pictures, COLUMNS, row_labels=labels)
    with atomic_write(path) as temporary:
        sheet.save(temporary, format="WEBP", quality=90)
    return path


@torch.no_grad()
def pictures_of(record: Record) -> list[Image.Image]:
    """COLUMNS pictures by a run's model."""
    model = checkpoint.load(record.checkpoint).build()
    weights = torch.eye(model.class_count)[torch.arange(COLUMNS) % model.class_count] if model.class_count else None
    found = [to_image(picture) for picture in model(noise(list(range(COLUMNS)), model.latent_dim), weights).float()]
    factor = max(SHOWN // model.resolution, 1)
    return [one.resize((factor * one.width, factor * one.height), Image.Resampling.BICUBIC) for one in found]


def firsts(records: Sequence[Record]) -> list[Record]:
    """The run of the lowest seed of each setting, in order, without those that broke down."""
    found: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: record.plan.seed):
        if not record.failed:
            found.setdefault(record.plan.setting, record)
    order = dict.fromkeys(record.plan.setting for record in records)
    return [found[setting] for setting in order if setting in found]
