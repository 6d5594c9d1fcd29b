"""What a classifier makes of labelled pictures: the confusion matrix, its figures, and a picture of it."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

CELL, LEGEND, FONT_PX = 56, 128, 14
INK, PAPER, SHADE = (20, 20, 24), (255, 255, 255), (38, 92, 140)


def confusion(labels: Tensor, found: Tensor, class_count: int) -> Tensor:
    """Row t, column f: pictures of class t that are called f. labels, found: (N,) → (K,K) int64."""
    return torch.bincount(labels * class_count + found, minlength=class_count**2).view(class_count, class_count)


def recalls(matrix: Tensor) -> Tensor:
    """The share of each class's pictures that are called by its name; NaN where there are none. (K,K) → (K,)."""
    return matrix.diagonal().double() / matrix.sum(dim=1)


def accuracies(matrix: Tensor) -> dict[str, float]:
    """accuracy: of all pictures. balanced_accuracy: mean of the classes' own, over classes that have pictures."""
    return {
        "accuracy": float(matrix.diagonal().sum().double() / matrix.sum()),
        "balanced_accuracy": float(recalls(matrix).nanmean()),
    }


def confusion_sheet(matrix: Tensor, classes: Sequence[str]) -> Image.Image:
    """The matrix for people: rows are what the pictures are, columns what they are called, cells per cent of a row."""
    font = ImageFont.load_default(FONT_PX)
    side = CELL * len(classes)
    image = Image.new("RGB", (LEGEND + side, LEGEND + side), PAPER)
    pen = ImageDraw.Draw(image)
    shares = matrix.double() / matrix.sum(dim=1, keepdim=True).clamp_min(1)
    for row, name in enumerate(classes):
        middle = LEGEND + CELL * row + CELL // 2
        pen.text((LEGEND - 8, middle), name[:16], INK, font, anchor="rm")
        image.paste(_upright(name[:16], font), (middle - FONT_PX // 2 - 2, 0))
        for column in range(len(classes)):
            share = float(shares[row, column])
            left, top = LEGEND + CELL * column, LEGEND + CELL * row
            colour = tuple(round(p + (s - p) * share) for p, s in zip(PAPER, SHADE, strict=True))
            pen.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=colour)
            if matrix[row, column]:
                ink = PAPER if share > 0.5 else INK
                pen.text((left + CELL // 2, top + CELL // 2), f"{100 * share:.0f}", ink, font, anchor="mm")
    return image


def _upright(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """A column's name, written upwards, its end at the foot of the legend."""
    strip = Image.new("RGB", (LEGEND - 8, FONT_PX + 4), PAPER)
    ImageDraw.Draw(strip).text((0, (FONT_PX + 4) // 2), text, INK, font, anchor="lm")
    return strip.rotate(90, expand=True)
