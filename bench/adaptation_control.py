"""What the count of copies in the proof of adaptation says of real pictures, and of copies that were planted.

    python -m bench.adaptation_control artists128-validation.zip --features vgg16=VGG16.safetensors

A sample counts as a copy where it lies nearer to a picture of the support than that lies to any other work of the
artist. Real: the artist's other works, each in a sample's place and left out of the works that are searched. Planted:
the support itself as JPEG (quality 40), at half resolution, and a fifth lighter. Figures are means over the artists.
"""

import argparse
import io
import statistics
from contextlib import nullcontext
from pathlib import Path

import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from bench.adaptation_run import Judge, artists
from studio.core.dataset import read_dataset
from studio.core.images import to_image
from studio.evaluation.features import feature_net

SHOTS = (5, 10, 20)
DRAWS = 20
SIDE = 128  # px


def spoilt(picture: Image.Image) -> dict[str, Image.Image]:
    """Three copies that a machine would make."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    return {
        "as JPEG": Image.open(buffer).convert("RGB"),
        "at half resolution": small.resize(picture.size, Image.Resampling.BICUBIC),
        "a fifth lighter": ImageEnhance.Brightness(picture).enhance(1.2),
    }


def tensor(picture: Image.Image) -> Tensor:
    """→ (3,R,R) uint8."""
    return (
        torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(*picture.size[::-1], 3).permute(2, 0, 1)
    )


def main() -> None:
    """Print a line an artist, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--features", required=True, help="vgg16=FILE")
    given = parser.parse_args()
    torch.set_num_threads(1)
    net, data = feature_net(given.features), read_dataset(given.archives, SIDE, column="artist")
    real: dict[int, list[float]] = {shots: [] for shots in SHOTS}
    planted: dict[str, list[float]] = {}
    for task in artists(data, 1):
        judge, random = Judge(net, nullcontext, data, task), torch.Generator().manual_seed(0)
        index = torch.tensor(task.index)
        line = []
        for shots in (shots for shots in SHOTS if len(index) > shots + 4):
            drawn = [index[torch.randperm(len(index), generator=random)[:shots]] for _ in range(DRAWS)]
            found = [judge.real_copies(support) for support in drawn]
            real[shots].append(sum(copies for copies, _ in found) / sum(count for _, count in found))
            line.append(f"{shots}: {100 * real[shots][-1]:.0f} %")
        support = index[:10]
        pictures = [spoilt(to_image(data.images[place].float() / 127.5 - 1)) for place in support]
        for name in pictures[0]:
            share = judge.planted(torch.stack([tensor(one[name]) for one in pictures]), support)
            planted.setdefault(name, []).append(share)
        print(f"{task.name}, {len(index)} works: real {', '.join(line)}", flush=True)
    for shots, shares in real.items():
        print(f"real, support of {shots}: {100 * statistics.mean(shares):.1f} % over {len(shares)} artists")
    for name, shares in planted.items():
        print(f"planted, {name}: {100 * statistics.mean(shares):.1f} %")


if __name__ == "__main__":
    main()
