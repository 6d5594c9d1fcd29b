"""The family tree as a picture: a row a generation, a thumbnail a child, lines to the parents, survivors framed."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from studio.training.family import Family

CELL = 56  # px: the side of a thumbnail as it is shown
GAP, LINES = 18, 34  # px: between children, and for the lines between rows
LEFT, TOP = 110, 30  # px: for the generations' numbers, and for the names of mutations
FRAME = 3
BACKGROUND, INK, FAINT = (255, 255, 255), (60, 60, 60), (190, 190, 190)
COLOURS = ((31, 119, 180), (214, 119, 0), (44, 140, 60), (178, 62, 132), (120, 94, 70), (90, 90, 190))  # of mutations


def family_tree(family: Family, mutations: Sequence[str]) -> Image.Image:
    """Draw the history. A frame is coloured by the child's mutation, thick where it survives; below stands its fitness.

    The mother's line has the mutation's colour; a father's line is grey.
    """
    rows, population = max(int(family.count), 1), family.mother.shape[1]
    legend = sum(len(name) for name in mutations) * 8 + 30 * len(mutations)
    width = max(LEFT + population * (CELL + GAP), LEFT + legend)
    sheet = Image.new("RGB", (width, TOP + rows * (CELL + LINES)), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    x = LEFT
    for index, name in enumerate(mutations):
        draw.rectangle((x, 9, x + 10, 19), fill=_colour(index))
        draw.text((x + 15, 14), name, INK, font, anchor="lm")
        x += 30 + round(font.getlength(name))
    for row in range(int(family.count)):
        for place in range(population):
            _draw_lines(draw, family, row, place)
    for row in range(int(family.count)):
        draw.text((4, _y(row) + CELL // 2), f"generation {int(family.number[row]) + 1}", INK, font, anchor="lm")
        for place in range(population):
            _draw_child(sheet, draw, family, row, place)
    return sheet


def _draw_lines(draw: ImageDraw.ImageDraw, family: Family, row: int, place: int) -> None:
    for parents, colour, width in (
        (family.father, FAINT, 1),
        (family.mother, _colour(int(family.mutation[row, place])), 2),
    ):
        parent = int(parents[row, place])
        if parent >= 0:
            above = (_x(parent) + CELL // 2, _y(row - 1) + CELL + 14)
            draw.line((*above, _x(place) + CELL // 2, _y(row)), colour, width)


def _draw_child(sheet: Image.Image, draw: ImageDraw.ImageDraw, family: Family, row: int, place: int) -> None:
    pixels = np.ascontiguousarray(family.thumbnails[row, place].permute(1, 2, 0).cpu().numpy())
    thumbnail = Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.BICUBIC)
    sheet.paste(thumbnail, (_x(place), _y(row)))
    survives = bool(family.survives[row, place])
    corners = (_x(place) - FRAME, _y(row) - FRAME, _x(place) + CELL + FRAME - 1, _y(row) + CELL + FRAME - 1)
    draw.rectangle(corners, outline=_colour(int(family.mutation[row, place])), width=FRAME if survives else 1)
    middle = (_x(place) + CELL // 2, _y(row) + CELL + 8)
    fitness = f"{float(family.fitness[row, place]):.3f}"
    draw.text(middle, fitness, INK if survives else FAINT, ImageFont.load_default(10), anchor="mm")


def _x(place: int) -> int:
    return LEFT + place * (CELL + GAP)


def _y(row: int) -> int:
    return TOP + row * (CELL + LINES)


def _colour(mutation: int) -> tuple[int, int, int]:
    return COLOURS[mutation % len(COLOURS)]
