"""The upscaler against Lanczos on paintings that it has not seen, and what an enlargement takes.

    python -m bench.upscaling checkpoints/upscaler.safetensors masterworks.zip --real styles.zip --sheet sheet.webp

Every painting is brought to SIDE px, reduced to a half and a quarter, and enlarged again. The perceptual distance to
the painting is over EfficientNet-Lite0's maps, with which the upscaler was not trained, on cuts of 128 px. What a
generator paints has no large form to compare with: cuts of its pictures, enlarged, are compared with cuts of real
paintings by KID on the same features. The generator was trained with those, so the figure says which way of enlarging
is better and nothing of the generator.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from bench.table import Row, markdown
from studio import Engine, SampleRequest, result_of
from studio.core import checkpoint
from studio.core.dataset import read_dataset
from studio.core.images import to_image, to_tensor
from studio.core.sheet import tile
from studio.engine.enlarger import doubled
from studio.evaluation.features import EVALUATION_SIZE, FeatureNet, feature_net
from studio.evaluation.metrics import kernel_distance
from studio.models.upscaler import Upscaler, bicubic

SIDE = 512  # px
COMPARED, REAL = 400, 224  # pictures, px of the real ones
SHOWN = (7, 9, 16, 14)  # seeds of the sheet
PART, CORNER = 256, 128  # px of what the sheet shows of each, and where it begins
Enlarge = Callable[[Tensor, int], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upscaler", type=Path)
    parser.add_argument("paintings", type=Path, nargs="+", help="zips of paintings of 512 px or more")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="zips of real paintings, for KID")
    parser.add_argument("--model", default="paintings", help="the generator whose pictures are timed and shown")
    parser.add_argument("--sheet", type=Path, help="where its pictures are shown, by Lanczos and by the upscaler")
    given = parser.parse_args()
    model = checkpoint.load(given.upscaler).build_module()
    assert isinstance(model, Upscaler)
    model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    rows = [*compared(model, given.paintings), *timed(given.model)]
    if given.real:
        rows += realistic(model, given.model, given.real)
    print(markdown(rows))
    if given.sheet:
        sheet(model, given.model).save(given.sheet, quality=92, method=6)


def compared(model: Upscaler, archives: list[Path]) -> Iterator[Row]:
    """Distances, ours over Lanczos', at two and four times the size."""
    data, net = read_dataset(archives, SIDE, minimum=8), feature_net("lite0")
    ways: dict[str, Enlarge] = {"ours": lambda x, times: repeated(model, x, times), "lanczos": lanczos}
    for times in (2, 4):
        distances: dict[str, list[float]] = {name: [] for name in ways}
        noise: dict[str, list[float]] = {name: [] for name in ways}
        for picture in data.images:
            whole = picture[None].float().div(127.5).sub(1)
            small = F.interpolate(whole, scale_factor=1 / times, mode="bicubic", antialias=True).clamp(-1, 1)
            for name, way in ways.items():
                made = way(small, times).clamp(-1, 1)
                distances[name].append(perceptual(net, made, whole))
                noise[name].append(-10 * math.log10(float((made - whole).div(2).square().mean())))
        ours, plain = (sum(values) / len(values) for values in (distances["ours"], distances["lanczos"]))
        note = f"mean over {len(data)} paintings; the bar is Lanczos"
        yield Row(f"perceptual distance to the painting, {times}x", ours, "", round(plain, 4), note=note)
        better = sum(a < b for a, b in zip(distances["ours"], distances["lanczos"], strict=True)) / len(data)
        yield Row(f"paintings that are nearer than by Lanczos, {times}x", better, "")
        decibels = {name: sum(values) / len(values) for name, values in noise.items()}
        yield Row(f"PSNR, {times}x", decibels["ours"], "dB", note=f"Lanczos {decibels['lanczos']:.1f} dB")


def realistic(model: Upscaler, name: str, archives: list[Path]) -> Iterator[Row]:
    """KID of the generator's pictures at twice their size, ours over bicubic's."""
    net, engine = feature_net("lite0"), Engine()
    real = read_dataset(archives, REAL, minimum=COMPARED)
    chosen = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))[:COMPARED]
    wanted = described(net, real.images[chosen].float().div(127.5).sub(1))
    small: list[Tensor] = []
    while len(small) < COMPARED:
        count = min(engine.settings.max_count, COMPARED - len(small))
        request = SampleRequest(model=name, seed=len(small), count=count, truncation=1)
        small += [to_tensor(sample.image)[None] for sample in result_of(engine.sample(request))]
    ways: dict[str, Enlarge] = {"ours": lambda x, _: doubled(model, x), "bicubic": lambda x, _: bicubic(x)}
    found = {}
    with torch.inference_mode():
        for way, enlarge in ways.items():
            made = torch.cat([enlarge(x, 2) for x in small])
            made = F.interpolate(made, size=(REAL, REAL), mode="bicubic", antialias=True).clamp(-1, 1)
            found[way] = kernel_distance(wanted, described(net, made))
    note = f"{COMPARED} pictures; the bar is bicubic; {net.name} taught the generator, and not the upscaler"
    yield Row(f"kid-{net.name} of `{name}` at {REAL} px", found["ours"], "", round(found["bicubic"], 3), note=note)


@torch.no_grad()
def described(net: FeatureNet, pictures: Tensor) -> Tensor:
    """Features of a cut of 128 px from each, at random places but always the same. (N,3,S,S) in [-1,1] → (N,F)."""
    generator, found = torch.Generator().manual_seed(0), []
    for part in pictures.split(16):
        corners = torch.randint(part.shape[-1] - EVALUATION_SIZE + 1, (len(part), 2), generator=generator).tolist()
        cuts = [x[:, y : y + EVALUATION_SIZE, z : z + EVALUATION_SIZE] for x, (y, z) in zip(part, corners, strict=True)]
        found.append(net.pooled_and_maps(torch.stack(cuts).add(1).div(2)).pooled.float())
    return torch.cat(found)


@torch.no_grad()
def perceptual(net: FeatureNet, made: Tensor, wanted: Tensor) -> float:
    """Mean over cuts of 128 px. (1,3,S,S) in [-1,1] each."""
    cuts = [F.unfold(x.add(1).div(2), EVALUATION_SIZE, stride=EVALUATION_SIZE) for x in (made, wanted)]
    parts = [x[0].T.reshape(-1, 3, EVALUATION_SIZE, EVALUATION_SIZE) for x in cuts]
    first, second = (net.pooled_and_maps(x).maps for x in parts)
    squares = [(a - b).square().flatten(1).sum(dim=1) for a, b in zip(first, second, strict=True)]
    return float(torch.stack(squares).sum(dim=0).mean())


@torch.inference_mode()
def repeated(model: Upscaler, x: Tensor, times: int) -> Tensor:
    """times: a power of two."""
    for _ in range(int(math.log2(times))):
        x = doubled(model, x)
    return x


def lanczos(x: Tensor, times: int) -> Tensor:
    """As Pillow does it. (1,3,H,W) → (1,3,times·H,times·W)."""
    image = to_image(x[0])
    return to_tensor(image.resize((image.width * times, image.height * times), Image.Resampling.LANCZOS))[None]


def timed(name: str) -> Iterator[Row]:
    """Seconds of one picture at SIDE px, what the model itself takes included."""
    engine = Engine()
    plain, large = (SampleRequest(model=name, count=1, size=size) for size in (None, SIDE))
    seconds = {}
    for request in (plain, large):
        result_of(engine.sample(request))
        took = []
        for _ in range(5):
            began = time.perf_counter()
            result_of(engine.sample(request))
            took.append(time.perf_counter() - began)
        seconds[request.size] = min(took)
    yield Row(f"a picture at {SIDE} px", seconds[SIDE], "s", note=f"as painted {seconds[None]:.3f} s; one core")


def sheet(model: Upscaler, name: str) -> Image.Image:
    """A part of some pictures, enlarged by Lanczos and by the upscaler."""
    engine, shown = Engine(), []
    box = (CORNER, CORNER, CORNER + PART, CORNER + PART)
    for seed in SHOWN:
        x = to_tensor(engine.render(name, seed).image)[None]
        times = SIDE // x.shape[-1]
        shown += [to_image(way[0].clamp(-1, 1)).crop(box) for way in (lanczos(x, times), repeated(model, x, times))]
    return tile([*shown[::2], *shown[1::2]], len(SHOWN), row_labels=("Lanczos", "upscaler"))


if __name__ == "__main__":
    main()
