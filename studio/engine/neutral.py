"""A neutral picture made of plain shapes, on which the hand of a style shows: no picture needs to be shipped."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


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
    return image.resize((side, side), Image.Resampling.LANCZOS)
