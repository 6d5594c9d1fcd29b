"""Between images and tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from studio.core.errors import InvalidRequest, StudioError
from studio.core.images import square, to_image, to_tensor, to_uint8


def test_every_level_survives_the_round_trip() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.stack([levels, levels.T, 255 - levels], axis=2))
    tensor = to_tensor(image)
    assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == ((3, 16, 16), torch.float32, True)
    assert np.array_equal(np.asarray(to_image(tensor)), np.asarray(image))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_any_picture_survives_the_round_trip(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(to_image(to_tensor(Image.fromarray(pixels)))), pixels)


def test_black_is_minus_one_and_white_is_one() -> None:
    image = Image.new("RGB", (2, 1), (0, 0, 0))
    image.putpixel((1, 0), (255, 255, 255))
    assert to_tensor(image)[:, 0].tolist() == [[-1.0, 1.0]] * 3


def test_the_channels_come_first() -> None:
    image = Image.new("RGB", (5, 2), (255, 0, 51))
    assert to_tensor(image)[:, 0, 0].tolist() == pytest.approx([1.0, -1.0, -0.6])


@pytest.mark.parametrize(("value", "level"), [(-7.0, 0), (-1.0, 0), (0.0, 128), (0.2, 153), (1.0, 255), (99.0, 255)])
def test_values_outside_are_clipped(value: float, level: int) -> None:
    assert to_uint8(torch.full((2, 3, 1, 1), value)).tolist() == [[[[level] * 3]]] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_batches_of_any_float(dtype: torch.dtype) -> None:
    batch = torch.tensor([-1.0, 1.0], dtype=dtype).view(1, 1, 1, 2).expand(4, 3, 2, 2)
    pixels = to_uint8(batch)
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == ((4, 2, 2, 3), np.uint8, True)
    assert pixels[3, :, :, 2].tolist() == [[0, 255], [0, 255]]


def test_channels_last_changes_nothing() -> None:
    batch = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert np.array_equal(to_uint8(batch), to_uint8(batch.to(memory_format=torch.channels_last)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_no_picture(value: float) -> None:
    batch = torch.zeros(1, 3, 2, 2)
    batch[0, 1, 1, 1] = value
    with pytest.raises(StudioError, match="values that are not numbers"):
        to_uint8(batch)


def test_a_square_is_cut_from_the_middle() -> None:
    image = Image.new("RGB", (12, 4), (255, 0, 0))
    image.paste((0, 0, 255), (4, 0, 8, 4))
    assert square(image, 4).getcolors() == [(16, (0, 0, 255))]
    assert square(image.transpose(Image.Transpose.ROTATE_90), 4).getcolors() == [(16, (0, 0, 255))]


@pytest.mark.parametrize("size", [1, 3, 7, 50])
@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (30, 2), (5, 11)])
def test_a_square_has_the_size_asked_for(size: int, shape: tuple[int, int]) -> None:
    result = square(Image.new("RGB", shape, (9, 90, 200)), size)
    assert result.size == (size, size)
    assert result.getcolors() == [(size * size, (9, 90, 200))]


@pytest.mark.parametrize("size", [0, -4])
def test_a_square_of_nothing_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequest, match="too small; ask for at least 1"):
        square(Image.new("RGB", (3, 3)), size)
