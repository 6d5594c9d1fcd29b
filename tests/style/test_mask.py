"""A mask: style where it is white, photo where it is black."""

import pytest
import torch
from PIL import Image, ImageDraw
from sentences import assert_sentence
from toy import picture

from studio.core.errors import InvalidRequest
from studio.style.mask import apply_mask, strength_mask

STYLED, PHOTO = picture(20, 30, 1), picture(20, 30, 2)


def half(width: int = 30, height: int = 20) -> Image.Image:
    """Black left, white right."""
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).rectangle((width // 2, 0, width, height), fill=255)
    return mask


def test_a_full_mask_is_the_styled_picture_and_an_empty_one_the_photo() -> None:
    full, empty = (strength_mask(Image.new("L", (30, 20), level), 20, 30, 0.1) for level in (255, 0))
    assert torch.equal(apply_mask(STYLED, PHOTO, full), STYLED)
    assert torch.equal(apply_mask(STYLED, PHOTO, empty), PHOTO)


def test_half_a_mask_is_half_a_picture() -> None:
    mixed = apply_mask(STYLED, PHOTO, strength_mask(half(), 20, 30))
    assert torch.equal(mixed[..., :15], PHOTO[..., :15])
    assert torch.equal(mixed[..., 15:], STYLED[..., 15:])


def test_grey_is_a_mix() -> None:
    mixed = apply_mask(STYLED, PHOTO, strength_mask(Image.new("L", (30, 20), 51), 20, 30))
    torch.testing.assert_close(mixed, 0.8 * PHOTO + 0.2 * STYLED)


@pytest.mark.parametrize("size", [(300, 200), (15, 10), (31, 20), (29, 20), (1500, 1001)])
def test_a_mask_of_the_same_shape_is_resized(size: tuple[int, int]) -> None:
    mask = strength_mask(half(*size), 20, 30)
    assert mask.shape == (1, 20, 30)
    assert float(mask[..., :13].max()) < 0.05
    assert float(mask[..., 17:].min()) > 0.95


@pytest.mark.parametrize("size", [(20, 30), (30, 30), (36, 20), (300, 180)])
def test_a_mask_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        strength_mask(Image.new("L", size), 20, 30)
    assert_sentence(caught.value, f"{size[0]}x{size[1]}", "30x20", "same ratio")


def test_feathering_softens_the_edge_and_keeps_the_middle() -> None:
    hard, soft = strength_mask(half(), 20, 30), strength_mask(half(), 20, 30, 0.1)
    assert float(hard.diff(dim=2).max()) == 1
    assert 0.1 < float(soft.diff(dim=2).max()) < 0.3
    assert bool((soft.diff(dim=2) >= -1e-6).all())
    assert float(soft[..., :8].max()) < 0.01
    assert float(soft[..., -8:].min()) > 0.99
    assert float(soft.mean()) == pytest.approx(float(hard.mean()), abs=0.01)


def test_transparent_parts_of_a_mask_are_black() -> None:
    mask = Image.new("RGBA", (30, 20), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (15, 0, 30, 20))
    torch.testing.assert_close(strength_mask(mask, 20, 30), strength_mask(half(), 20, 30))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_any_mode_is_taken(mode: str) -> None:
    torch.testing.assert_close(strength_mask(half().convert(mode), 20, 30), strength_mask(half(), 20, 30))


@pytest.mark.parametrize("feather", [-0.1, 0.6, float("nan")])
def test_a_feather_out_of_bounds_is_refused(feather: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        strength_mask(half(), 20, 30, feather)
    assert_sentence(caught.value, "feather")
