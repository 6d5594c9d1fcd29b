"""Encode a folder of paintings to `checkpoints/masterworks.safetensors`: their codes by file name, and no pictures.

python -m bench.masterworks FOLDER --out checkpoints/masterworks.safetensors --size 256 --note data="…"
"""

import argparse
from pathlib import Path

import torch
from PIL import Image

from studio.cli.parse import settings
from studio.core import checkpoint
from studio.core.dataset import SUFFIXES
from studio.core.images import open_image, to_tensor
from studio.style.codes import KIND, CodesConfig, StyleCodes
from studio.style.encoder import StyleEncoder
from studio.style.stylizer import Stylizer


def scaled(image: Image.Image, shorter: int) -> Image.Image:
    """The whole picture with its shorter side at `shorter` px."""
    factor = shorter / min(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("checkpoints"), help="where encoder and stylizer lie")
    parser.add_argument("--size", type=int, default=256, help="shorter side in px at which a painting is encoded")
    parser.add_argument("--note", action="append", default=[], metavar="NAME=TEXT", help="for the provenance")
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = {name: checkpoint.load(given.models / f"{name}.safetensors") for name in ("encoder", "stylizer")}
    encoder, stylizer = (opened[name].build_module() for name in ("encoder", "stylizer"))
    assert isinstance(encoder, StyleEncoder)
    assert isinstance(stylizer, Stylizer)
    files = sorted(path for path in given.folder.iterdir() if path.suffix.lower() in SUFFIXES)
    config = CodesConfig(stylizer.code_length, opened["stylizer"].sha256)
    table = StyleCodes(config, len(files))
    for row, path in enumerate(files):
        picture = to_tensor(scaled(open_image(path), given.size))[None]
        table.codes[row] = stylizer.code(encoder.statistics(picture))[0]
    saved = checkpoint.save(
        given.out,
        table,
        kind=KIND,
        config=config,
        classes=[path.stem for path in files],
        provenance={
            **settings(given.note),
            "size": given.size,
            "encoder": opened["encoder"].sha256,
            "stylizer": opened["stylizer"].sha256,
        },
        metrics={},
    )
    print(f"{len(files)} styles in {saved.path}, {saved.size} bytes")


if __name__ == "__main__":
    main()
