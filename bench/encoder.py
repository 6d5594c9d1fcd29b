"""The card of the encoder: agreement with VGG16 on held-out pictures, and what it costs beside VGG16.

    python -m bench.encoder checkpoints/encoder.safetensors --teacher VGG16.safetensors --data photos.zip --data …

The held-out pictures are those of `studio train encoder`. Costs are of one 512 px picture on one thread, best of five
turns; the arithmetic is that of the convolutions.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from studio.core import checkpoint
from studio.core.dataset import read_dataset
from studio.evaluation.agreement import Maps, agreement, pairs, signature, spearman
from studio.training.data import divided
from studio.training.encoder import EncoderTraining
from studio.training.teachers import Vgg16Teacher

SIDE, TURNS, CHUNK = 512, 5, 8
Network = Callable[[Tensor], Maps]


@torch.no_grad()
def cost(network: Network) -> tuple[float, float]:
    """GMAC and seconds of one picture."""
    x = torch.rand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last) * 2 - 1
    with FlopCounterMode(display=False) as counter:
        network(x)
    seconds = []
    for _ in range(TURNS):
        began = time.process_time()
        network(x)
        seconds.append(time.process_time() - began)
    return counter.get_total_flops() / 2e9, min(seconds)


@torch.no_grad()
def maps_of(network: Network, images: Tensor) -> list[Tensor]:
    """Maps of many pictures, layer by layer."""
    parts = [network(chunk) for chunk in images.split(CHUNK)]
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]


def layers(found: list[Tensor], wanted: list[Tensor]) -> dict[str, list[float]]:
    """Rank correlations layer by layer."""
    each = [(signature([a]), signature([b])) for a, b in zip(found, wanted, strict=True)]
    return {name: [round(spearman(pairs(a[name]), pairs(b[name])), 3) for a, b in each] for name in ("gram", "content")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--size", type=int, default=EncoderTraining.picture, help="px to which the pictures are read")
    given = parser.parse_args()
    torch.set_num_threads(1)
    encoder = checkpoint.load(given.encoder).build_module().to(memory_format=torch.channels_last)
    teacher = Vgg16Teacher(given.teacher)
    data = read_dataset(given.data, given.size)
    _, held_out = divided(data, EncoderTraining.held_out)
    images = data.images[held_out].float().div(127.5).sub(1)
    found, wanted = maps_of(encoder, images), maps_of(teacher, images)
    (own_arithmetic, own_seconds), (arithmetic, seconds) = cost(encoder), cost(teacher)
    figures = {
        **{name: round(value, 3) for name, value in agreement(signature(found), signature(wanted)).items()},
        "layers": layers(found, wanted),
        "pictures": len(images),
        "gmac": round(own_arithmetic, 2),
        "vgg16_gmac": round(arithmetic, 1),
        "arithmetic_ratio": round(arithmetic / own_arithmetic, 1),
        "seconds": round(own_seconds, 4),
        "vgg16_seconds": round(seconds, 4),
        "time_ratio": round(seconds / own_seconds, 1),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
