"""Contact sheets: pictures side by side in rows, with labels where they help."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from studio.core.errors import InvalidRequest

Colour = tuple[int, int, int]
_FONT_SIZE = 12
_PADDING = 6  # pixels between a label and its row or column


def tile(
    images: Sequence[Image.Image],
    columns: int,
    gap: int = 2,
    background: Colour = (255, 255, 255),
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
) -> Image.Image:
    """Pictures in rows of ``columns``, ``gap`` pixels apart, each centred in a cell of the largest one's size.

    Labels, where given, stand left of the rows and above the columns: one for each row, one for each column.
    """
    if not images or columns < 1 or gap < 0:
        raise InvalidRequest("A contact sheet needs at least one picture, one column and a gap of 0 or more.")
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    if len(row_labels) not in (0, rows) or len(column_labels) not in (0, columns):
        raise InvalidRequest(f"A contact sheet of {rows} rows and {columns} columns needs as many labels, or none.")
    width, height = max(image.width for image in images), max(image.height for image in images)
    font = ImageFont.load_default(_FONT_SIZE)
    left = math.ceil(max(map(font.getlength, row_labels), default=-_PADDING)) + _PADDING
    top = _FONT_SIZE + _PADDING if column_labels else 0
    size = (left + columns * (width + gap) - gap, top + rows * (height + gap) - gap)
    sheet = Image.new("RGB", size, background)
    for index, image in enumerate(images):
        x = left + index % columns * (width + gap) + (width - image.width) // 2
        y = top + index // columns * (height + gap) + (height - image.height) // 2
        sheet.paste(image.convert("RGB"), (x, y))
    draw = ImageDraw.Draw(sheet)
    ink = (0, 0, 0) if sum(background) > 3 * 127 else (255, 255, 255)
    for row, label in enumerate(row_labels):
        draw.text((0, top + row * (height + gap) + height // 2), label, ink, font, anchor="lm")
    for column, label in enumerate(column_labels):
        draw.text((left + column * (width + gap) + width // 2, top // 2), label, ink, font, anchor="mm")
    return sheet
