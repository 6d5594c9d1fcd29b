"""A neutral picture made of plain shapes, on which the hand of a style shows: no picture needs to be shipped."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from studio.meta.augment import TaskAugmentation, draw_transform, transform_pictures

SIDE, CROP, DRAWN, BATCH = 320, 192, 256, 2  # px of the picture, of a cut from it, of that enlarged; cuts at a time
GRAIN = ((1, 3.0), (4, 6.0), (16, 9.0), (48, 9.0))  # size in px and strength in 255ths of each layer of it


def neutral_picture(side: int) -> Image.Image:
    """Sky, sun, hills, a house and a tree, softly lit. side: in px."""
    scale = 4 * side / 400
    height = 4 * side
    sky = np.linspace((110, 150, 200), (235, 220, 200), height)[:, None].repeat(height, axis=1)
    image = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(image)

    def at(*points: float) -> list[float]:
        return [value * scale for value in points]

    draw.ellipse(at(265, 55, 325, 115), (250, 225, 150))
    draw.polygon(at(0, 250, 110, 130, 220, 250), (95, 110, 130))
    draw.polygon(at(120, 260, 260, 160, 400, 260), (120, 130, 140))
    draw.rectangle(at(0, 245, 400, 400), (120, 145, 90))
    draw.polygon(at(170, 400, 205, 245, 225, 245, 300, 400), (200, 185, 150))
    draw.rectangle(at(60, 225, 140, 300), (205, 190, 170))
    draw.polygon(at(50, 225, 100, 180, 150, 225), (150, 75, 60))
    draw.rectangle(at(90, 260, 112, 300), (90, 70, 60))
    draw.rectangle(at(318, 230, 332, 320), (95, 75, 55))
    draw.ellipse(at(280, 140, 370, 255), (70, 105, 65))
    image = image.filter(ImageFilter.GaussianBlur(1.5 * scale))
    return _grained(image.resize((side, side), Image.Resampling.LANCZOS))


def _grained(image: Image.Image) -> Image.Image:
    """With grain and faint clouds, as photographs have them: on flat fields a style finds nothing to hold on to."""
    random = np.random.Generator(np.random.Philox(0))
    light = np.zeros((image.height, image.width, 1), np.float32)
    for size, strength in GRAIN:
        shape = (max(1, image.width // size), max(1, image.height // size))
        noise = Image.fromarray(random.standard_normal(shape[::-1], np.float32) * strength)
        light += np.asarray(noise.resize(image.size, Image.Resampling.BICUBIC))[:, :, None]
    return Image.fromarray((np.asarray(image, np.float32) + light).round().clip(0, 255).astype(np.uint8))


def neutral_contents(generator: torch.Generator) -> Tensor:
    """Cuts of the neutral picture, mirrored and in other colours at random: (B,3,S,S) in [-1,1]."""
    picture, change = _neutral_tensor(), TaskAugmentation(recolour=0.7)
    cuts = []
    for _ in range(BATCH):
        side = int(torch.randint(CROP // 2, CROP + 1, (), generator=generator))
        top, left = torch.randint(SIDE - side + 1, (2,), generator=generator).tolist()
        cut = picture[None, :, top : top + side, left : left + side]
        cut = F.interpolate(cut, size=(DRAWN, DRAWN), mode="bicubic", align_corners=False).clamp(-1, 1)
        cuts.append(transform_pictures(cut, draw_transform(change, generator)))
    return torch.cat(cuts)


@functools.cache
def _neutral_tensor() -> Tensor:
    """The neutral picture (3,S,S) in [-1,1]."""
    values = np.asarray(neutral_picture(SIDE), np.float32).transpose(2, 0, 1)
    return torch.from_numpy(values / 127.5 - 1)
