"""Write `checkpoints/masterworks-moments.safetensors`: what a refinement sees of a folder of paintings, no pictures.

python -m bench.moments FOLDER --out checkpoints/masterworks-moments.safetensors --note data="…"
"""

import argparse
from pathlib import Path

import torch

from studio.cli.parse import settings
from studio.core import checkpoint
from studio.core.dataset import SUFFIXES
from studio.core.images import open_image, to_tensor
from studio.engine.sitting import fitted
from studio.style.encoder import Perception, StyleEncoder
from studio.style.moments import KIND, MomentsConfig, table


def main() -> None:
    """Moments by file name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("checkpoints"), help="where the encoder lies")
    parser.add_argument("--size", type=int, default=512, help="long side in px at which a painting is looked at")
    parser.add_argument("--note", action="append", default=[], metavar="NAME=TEXT", help="for the provenance")
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = checkpoint.load(given.models / "encoder.safetensors")
    encoder = opened.build_module()
    assert isinstance(encoder, StyleEncoder)
    files = sorted(path for path in given.folder.iterdir() if path.suffix.lower() in SUFFIXES)
    pictures = [to_tensor(fitted(open_image(path), given.size)) for path in files]
    config = MomentsConfig(encoder.config.widths, opened.sha256)
    saved = checkpoint.save(
        given.out,
        table(Perception(encoder), pictures, config),
        kind=KIND,
        config=config,
        classes=[path.stem for path in files],
        provenance={**settings(given.note), "size": given.size, "encoder": opened.sha256},
        metrics={},
    )
    print(f"{saved.path}: {len(saved.classes)} works, {saved.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
