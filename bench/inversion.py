"""Pictures from outside in a generator's latent space: LPIPS to the original beside that of the nearest random sample.

    python -m bench.inversion MODEL --data paintings.zip --vgg16 VGG16.safetensors --pictures 50
    python -m bench.inversion MODEL --data … --vgg16 … --config steps=40 detail_rate=0 --sheet inversions.webp

The pictures are the first of the data after a shuffle by seed 0, brought to the model's resolution. LPIPS is VGG16's,
which the inversion never sees: it looks with the studio's own encoder. With one thread time
is process time, and the budget is kept in it: waiting for other programs does not count, though what they do to caches
and memory does. With more (`--threads 2`, on an idle machine) it is the wall's. What is judged is the picture that a
recipe brings back, its w in 16 bits and its details in 8.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from studio.core import checkpoint
from studio.core.dataset import read_dataset
from studio.core.fields import configure
from studio.core.images import to_image
from studio.core.kinds import LatentModel
from studio.core.progress import result_of
from studio.evaluation.networks import Vgg16, build_vgg16
from studio.latent.directions import draw_samples
from studio.latent.interior import pack, rows_of, unpack
from studio.latent.inversion import InversionConfig, invert

SAMPLES, CHUNK = 1000, 8
SHOWN = 12  # columns of the sheet


@torch.no_grad()
def seen(net: Vgg16, pictures: Tensor) -> Tensor:
    """Maps whose squared distance is LPIPS. (B,3,R,R) in [-1,1] → (B,F)."""
    maps = [net.pooled_and_maps(part.clamp(-1, 1) / 2 + 0.5).maps for part in pictures.split(CHUNK)]
    return torch.cat([torch.cat([each.flatten(1) for each in part], dim=1) for part in maps])


@torch.no_grad()
def nearest(model: LatentModel, net: Vgg16, wanted: Tensor) -> Tensor:
    """LPIPS of each picture to the nearest of SAMPLES random ones, classes in turn. wanted: (N,F) → (N)."""
    best = torch.full((len(wanted),), torch.inf)
    for w in draw_samples(model, SAMPLES).w.split(CHUNK):
        found = seen(net, model.synthesis(w))
        squares = wanted.square().sum(dim=1) + found.square().sum(dim=1)[:, None] - 2 * found @ wanted.T
        best = torch.minimum(best, squares.amin(dim=0))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--vgg16", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=Path("checkpoints/encoder.safetensors"))
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="of the shuffled pictures")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="of InversionConfig")
    parser.add_argument("--baseline", type=Path, help="a file to keep the nearest samples' distances in")
    parser.add_argument("--sheet", type=Path, help="originals over reconstructions")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    config = configure(InversionConfig, {key: json.loads(value) for key, value in (c.split("=") for c in given.config)})
    torch.set_num_threads(given.threads)
    clock = time.process_time if given.threads == 1 else time.monotonic
    model = checkpoint.load(given.model).build().requires_grad_(False)
    model.to(memory_format=torch.channels_last)
    model.optimise_()
    encoder = checkpoint.load(given.encoder).build_module().requires_grad_(False).to(memory_format=torch.channels_last)
    net = build_vgg16(given.vgg16).eval().requires_grad_(False)
    data = read_dataset(given.data, model.resolution)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    chosen = order[given.first : given.first + given.pictures]
    originals = data.images[chosen].float() / 127.5 - 1
    wanted = seen(net, originals)
    if given.baseline is not None and given.baseline.exists():
        near = torch.tensor(json.loads(given.baseline.read_text()))
    else:
        near = nearest(model, net, wanted)
        if given.baseline is not None:
            given.baseline.write_text(json.dumps(near.tolist()))
    rows, pictures = [], []
    for index, original in enumerate(originals):
        began = clock()
        found = result_of(invert(model, original[None], encoder, config, clock))
        seconds = clock() - began
        code = pack(found.w, found.details)
        with torch.no_grad():
            picture = model.paint(rows_of(*unpack(code, model)))
        lpips = float((seen(net, picture) - wanted[index]).square().sum())
        exact = float((seen(net, found.picture) - wanted[index]).square().sum())
        error = float((picture - original).square().mean())
        rows.append((lpips, lpips / float(near[index]), seconds, found.steps, exact, error, len(code)))
        pictures.append(picture[0])
        print(index, *(f"{value:.3f}" for value in rows[-1]), flush=True)
    names = ("lpips", "ratio", "seconds", "steps", "lpips_unpacked", "squared_error", "bytes")
    figures = {name: statistics.fmean(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    ratios = sorted(row[1] for row in rows)
    figures |= {"nearest": float(near.mean()), "worst_ratio": ratios[-1], "over_half": sum(r > 0.5 for r in ratios)}
    figures |= {"ratio_of_means": figures["lpips"] / figures["nearest"], "longest": max(row[2] for row in rows)}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    if given.sheet is not None:
        sheet = torch.cat([torch.cat(list(part[:SHOWN]), dim=2) for part in (originals, torch.stack(pictures))], dim=1)
        image: Image.Image = to_image(sheet)
        image.save(given.sheet, quality=85)


if __name__ == "__main__":
    main()
