"""A conditional generator at a fixed, even mix of some of its classes, as an unconditional one: no further training.

    python -m bench.fold checkpoints/paintings.safetensors --classes landscape,seascape,cityscape --out OUT.safetensors

What the classes say to every modulation becomes a constant in its bias.
"""

import argparse
from pathlib import Path

import torch

from studio.core import checkpoint
from studio.core.words import names
from studio.models.base import measure_w_mean
from studio.models.gan import GanGenerator, without_classes
from studio.training.init import lineage

KEPT = ("data", "licence", "training_features", "training_images", "device")  # of the provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--classes", required=True, help="joined by commas")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    opened, wanted = checkpoint.load(given.model), names(given.classes)
    unknown = [name for name in wanted if name not in opened.classes]
    if unknown:
        parser.error(f"unknown class {unknown[0]!r}; known: {', '.join(opened.classes)}.")
    generator = opened.build()
    assert isinstance(generator, GanGenerator)
    mix = torch.tensor([float(name in wanted) for name in opened.classes])
    plain = without_classes(generator, mix / mix.sum()).eval()
    measure_w_mean(plain)
    provenance = {
        "recipe": "gan",
        "derived": f"the generator of {given.model.stem} at the even mix of {', '.join(wanted)} "
        "(studio.models.gan.without_classes); no further training",
        "init": lineage(given.model),
        **{name: opened.provenance[name] for name in KEPT if name in opened.provenance},
        "images_seen": 0,
        "seconds": 0,
    }
    saved = checkpoint.save(
        given.out, plain, kind="gan", config=plain.config, classes=(), provenance=provenance, metrics={}
    )
    print(f"{saved.path}: {saved.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
