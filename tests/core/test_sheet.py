"""Contact sheets."""

import numpy as np
import pytest
from PIL import Image

from studio.core.errors import InvalidRequest
from studio.core.images import tile


def plain(level: int, size: tuple[int, int] = (4, 3)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def test_five_pictures_in_three_columns() -> None:
    sheet = np.asarray(tile([plain(10 * i) for i in range(5)], 3, gap=2))[:, :, 0]
    assert sheet.shape == (3 + 2 + 3, 4 + 2 + 4 + 2 + 4)
    assert [sheet[0, x] for x in (0, 3, 4, 5, 6, 12)] == [0, 0, 255, 255, 10, 20]
    assert [sheet[5, x] for x in (0, 6, 12)] == [30, 40, 255]
    assert (sheet[3:5] == 255).all()


def test_no_gap_between_a_single_row() -> None:
    assert tile([plain(1), plain(2)], 9, gap=0).size == (8, 3)


def test_smaller_pictures_stand_in_the_middle_of_their_cells() -> None:
    sheet = np.asarray(tile([plain(0, (6, 6)), plain(100, (2, 4))], 2, gap=0, background=(7, 7, 7)))[:, :, 0]
    expected = np.full((6, 6), 7)
    expected[1:5, 2:4] = 100
    assert np.array_equal(sheet[:, 6:], expected)


def test_labels_stand_left_and_above() -> None:
    images = [plain(200, (40, 20)) for _ in range(4)]
    bare = np.asarray(tile(images, 2))
    sheet = np.asarray(tile(images, 2, row_labels=["landscape", "sea"], column_labels=["1", "2"]))
    height, width = bare.shape[:2]
    top, left = sheet.shape[0] - height, sheet.shape[1] - width
    assert top > 0
    assert left > 0
    assert np.array_equal(sheet[top:, left:], bare)
    rows = [sheet[top : top + 20, :left], sheet[top + 22 :, :left]]
    inks = [int((row < 128).any(axis=2).sum()) for row in rows]
    assert inks[0] > inks[1] > 0  # the longer word has more ink
    assert (sheet[:top, left : left + 40] < 128).any()
    assert (sheet[:top, :left] == 255).all()


def test_labels_are_light_on_a_dark_sheet() -> None:
    sheet = np.asarray(tile([plain(0, (30, 20))], 1, background=(0, 0, 0), row_labels=["sea"]))
    assert sheet.max() > 200


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_mode_is_laid_out(mode: str) -> None:
    assert tile([plain(0).convert(mode)], 1).getcolors() == [(12, (0, 0, 0))]


@pytest.mark.parametrize(("count", "columns", "gap"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_an_empty_sheet_is_refused(count: int, columns: int, gap: int) -> None:
    with pytest.raises(InvalidRequest, match="at least one picture"):
        tile([plain(0)] * count, columns, gap)


def test_labels_must_match() -> None:
    with pytest.raises(InvalidRequest, match="2 rows and 2 columns needs as many labels"):
        tile([plain(0)] * 3, 2, row_labels=["one"])
