"""Octaves for a stylizer that was trained without any, and for the codes of the masterworks that belong to it.

    python -m bench.octaves STYLIZER.safetensors MASTERWORKS.safetensors PAINTINGS --octaves 3 --out checkpoints

No weight changes: octaves are set by closed form (studio.style.octaves). PAINTINGS is a folder with a picture for each
masterwork, by name. Writes OUT/stylizer.safetensors and OUT/masterworks.safetensors.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from studio.core import checkpoint
from studio.core.dataset import SUFFIXES
from studio.core.images import open_image
from studio.core.octaves import CHANNELS, strengths
from studio.engine.readings import seen_closely
from studio.style.codes import KIND, CodesConfig, StyleCodes, read_codes
from studio.style.stylizer import Stylizer


def sharpened(stylizer: Stylizer, octaves: int) -> Stylizer:
    """The same weights, told to bring so many octaves to the style's strength."""
    twin = Stylizer(replace(stylizer.config, octaves=octaves))
    twin.load_state_dict(stylizer.state_dict())
    return twin


def lengthened(code: Tensor, before: Stylizer, painting: Path, octaves: int) -> Tensor:
    """A code (C,) of the stylizer as it was → the same with the octaves of the painting."""
    fine = strengths(seen_closely(open_image(painting)), octaves)[0]
    return torch.cat([code[: before.code_length - CHANNELS * before.config.octaves].float(), fine])


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stylizer", type=Path)
    parser.add_argument("masterworks", type=Path)
    parser.add_argument("paintings", type=Path)
    parser.add_argument("--octaves", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    opened, works = checkpoint.load(given.stylizer), checkpoint.load(given.masterworks)
    files = {path.stem: path for path in given.paintings.iterdir() if path.suffix.lower() in SUFFIXES}
    codes = read_codes(works)
    missing = [name for name in codes if name not in files]
    if missing:
        parser.error(f"{given.paintings} has no picture of {missing[0]!r}.")
    before = opened.build_module()
    assert isinstance(before, Stylizer)
    model = sharpened(before, given.octaves)
    saved = checkpoint.save(
        given.out / "stylizer.safetensors",
        model,
        kind="stylizer",
        config=model.config,
        classes=(),
        provenance={**opened.provenance, "octaves": "set after training, by closed form", "before": opened.sha256},
        metrics=opened.metrics,
    )
    table = StyleCodes(CodesConfig(model.code_length, saved.sha256), len(codes))
    for row, (name, code) in enumerate(codes.items()):
        table.codes[row] = lengthened(code, before, files[name], given.octaves)
    checkpoint.save(
        given.out / "masterworks.safetensors",
        table,
        kind=KIND,
        config=table.config,
        classes=works.classes,
        provenance={**works.provenance, "stylizer": saved.sha256, "before": works.sha256},
        metrics={},
    )
    print(f"{saved.path}: {given.octaves} octaves, and {len(codes)} codes beside it")


if __name__ == "__main__":
    main()
