"""Turn a folder of paintings into what style transfer knows them by, and no pictures.

    python -m bench.masterworks FOLDER --out checkpoints --note data="…" --practise 80 --teacher vgg16.safetensors \
        --photographs photos.zip

Writes OUT/masterworks.safetensors, the stylizer's codes by file name, bettered by so many steps of practice, and
OUT/masterworks-moments.safetensors, what a refinement sees of them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.practise import Practice, scaled
from studio.cli.parse import settings
from studio.core import checkpoint
from studio.core.dataset import SUFFIXES
from studio.core.images import open_image, to_tensor
from studio.engine.readings import closely
from studio.engine.sitting import fitted
from studio.style import codes, moments
from studio.style.codes import CodesConfig, StyleCodes
from studio.style.encoder import Perception, StyleEncoder
from studio.style.moments import MomentsConfig
from studio.style.stylizer import Stylizer


def code_table(
    encoder: StyleEncoder, stylizer: Stylizer, files: Sequence[Path], config: Any, side: int, practice: Practice | None
) -> nn.Module:
    """Codes in the order of the files."""
    table = StyleCodes(config, len(files))
    for row, file in enumerate(files):
        image = open_image(file)
        picture = scaled(image, side)
        close = closely(image, (picture.shape[-1], picture.shape[-2]))
        code = stylizer.code((picture, *encoder(picture)), close)
        table.codes[row] = (practice.bettered(code, file, side) if practice else code)[0]
        print(file.stem, flush=True)
    return table


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("checkpoints"), help="where encoder and stylizer lie")
    parser.add_argument("--code-size", type=int, default=256, help="shorter side in px at which a painting is encoded")
    parser.add_argument("--size", type=int, default=512, help="long side in px at which a refinement looks at it")
    parser.add_argument("--practise", type=int, default=0, help="steps on each code (bench.practise)")
    parser.add_argument("--teacher", type=Path, help="VGG16's weights, to practise by")
    parser.add_argument("--photographs", type=Path, help="a folder or zip of them, to practise on")
    parser.add_argument("--bf16", action="store_true", help="practise in bfloat16")
    parser.add_argument("--note", action="append", default=[], metavar="NAME=TEXT", help="for the provenance")
    given = parser.parse_args()
    if given.practise and not (given.teacher and given.photographs):
        parser.error("practice needs --teacher and --photographs.")
    opened = {name: checkpoint.load(given.models / f"{name}.safetensors") for name in ("encoder", "stylizer")}
    encoder, stylizer = (opened[name].build_module() for name in ("encoder", "stylizer"))
    assert isinstance(encoder, StyleEncoder)
    assert isinstance(stylizer, Stylizer)
    files = sorted(path for path in given.folder.iterdir() if path.suffix.lower() in SUFFIXES)
    works = [open_image(path) for path in files]
    practice = None
    if given.practise:
        files_of = (given.models / "encoder.safetensors", given.teacher, given.photographs)
        practice = Practice.of(stylizer, *files_of, given.practise, given.bf16)
    coded = CodesConfig(stylizer.code_length, opened["stylizer"].sha256)
    seen = MomentsConfig(encoder.config.widths, opened["encoder"].sha256)
    looks = [to_tensor(fitted(work, given.size)) for work in works]
    made: tuple[tuple[str, str, Any, nn.Module, int], ...] = (
        (
            "masterworks",
            codes.KIND,
            coded,
            code_table(encoder, stylizer, files, coded, given.code_size, practice),
            given.code_size,
        ),
        ("masterworks-moments", moments.KIND, seen, moments.table(Perception(encoder), looks, seen), given.size),
    )
    hashes = {name: model.sha256 for name, model in opened.items()}
    practised = {"masterworks": {"practice": given.practise}, "masterworks-moments": {}}
    for name, kind, config, table, size in made:
        saved = checkpoint.save(
            given.out / f"{name}.safetensors",
            table,
            kind=kind,
            config=config,
            classes=[path.stem for path in files],
            provenance={**settings(given.note), "size": size, **hashes, **practised[name]},
            metrics={},
        )
        print(f"{saved.path}: {len(files)} works, {saved.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
