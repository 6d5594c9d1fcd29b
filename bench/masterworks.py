"""Turn a folder of paintings into what style transfer knows them by, and no pictures.

    python -m bench.masterworks FOLDER --out checkpoints --note data="…"

Writes OUT/masterworks.safetensors, the stylizer's codes by file name, and OUT/masterworks-moments.safetensors, what a
refinement sees of them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from studio.cli.parse import settings
from studio.core import checkpoint
from studio.core.dataset import SUFFIXES
from studio.core.images import open_image, to_tensor
from studio.engine.sitting import fitted
from studio.style import codes, moments
from studio.style.codes import CodesConfig, StyleCodes
from studio.style.encoder import Perception, StyleEncoder
from studio.style.moments import MomentsConfig
from studio.style.stylizer import Stylizer


def scaled(image: Image.Image, shorter: int) -> Tensor:
    """The whole picture with its shorter side at `shorter` px, (1,3,H,W)."""
    factor = shorter / min(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return to_tensor(image.resize(size, Image.Resampling.LANCZOS))[None]


def code_table(
    encoder: StyleEncoder, stylizer: Stylizer, works: Sequence[Image.Image], config: Any, side: int
) -> nn.Module:
    """Codes in the order of the works."""
    table = StyleCodes(config, len(works))
    for row, work in enumerate(works):
        table.codes[row] = stylizer.code(encoder.statistics(scaled(work, side)))[0]
    return table


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("checkpoints"), help="where encoder and stylizer lie")
    parser.add_argument("--code-size", type=int, default=256, help="shorter side in px at which a painting is encoded")
    parser.add_argument("--size", type=int, default=512, help="long side in px at which a refinement looks at it")
    parser.add_argument("--note", action="append", default=[], metavar="NAME=TEXT", help="for the provenance")
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = {name: checkpoint.load(given.models / f"{name}.safetensors") for name in ("encoder", "stylizer")}
    encoder, stylizer = (opened[name].build_module() for name in ("encoder", "stylizer"))
    assert isinstance(encoder, StyleEncoder)
    assert isinstance(stylizer, Stylizer)
    files = sorted(path for path in given.folder.iterdir() if path.suffix.lower() in SUFFIXES)
    works = [open_image(path) for path in files]
    coded = CodesConfig(stylizer.code_length, opened["stylizer"].sha256)
    seen = MomentsConfig(encoder.config.widths, opened["encoder"].sha256)
    looks = [to_tensor(fitted(work, given.size)) for work in works]
    made: tuple[tuple[str, str, Any, nn.Module, int], ...] = (
        (
            "masterworks",
            codes.KIND,
            coded,
            code_table(encoder, stylizer, works, coded, given.code_size),
            given.code_size,
        ),
        ("masterworks-moments", moments.KIND, seen, moments.table(Perception(encoder), looks, seen), given.size),
    )
    hashes = {name: model.sha256 for name, model in opened.items()}
    for name, kind, config, table, size in made:
        saved = checkpoint.save(
            given.out / f"{name}.safetensors",
            table,
            kind=kind,
            config=config,
            classes=[path.stem for path in files],
            provenance={**settings(given.note), "size": size, **hashes},
            metrics={},
        )
        print(f"{saved.path}: {len(files)} works, {saved.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
