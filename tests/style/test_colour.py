"""Colours go from one picture to another, as much as asked for, and alpha stays."""

import numpy as np
import pytest
import torch
from PIL import Image
from sentences import assert_sentence
from toy import picture

from studio.core.errors import InvalidRequest, UnknownName
from studio.style.colour import COLOURINGS, from_yiq, keep_alpha, recolour, to_yiq

ALL = pytest.mark.parametrize("method", COLOURINGS.names())
DULL = picture(24, 32, 1) * 0.3
VIVID = picture(24, 32, 2) * 0.5 + torch.tensor([0.3, -0.2, 0.1]).view(3, 1, 1)


def test_there_are_the_three_that_were_asked_for() -> None:
    assert set(COLOURINGS.names()) == {"luminance", "histogram", "linear"}


@ALL
def test_an_entry_tells_its_formula_and_source(method: str) -> None:
    entry = COLOURINGS[method]
    assert entry.name == method
    assert entry.formula
    assert "Gatys" in entry.source


@ALL
def test_a_picture_in_its_own_colours_is_itself(method: str) -> None:
    torch.testing.assert_close(recolour(VIVID, VIVID, method), VIVID, atol=2e-3, rtol=0)


@ALL
def test_strength_goes_from_nothing_to_all(method: str) -> None:
    full = recolour(DULL, VIVID, method)
    assert torch.equal(recolour(DULL, VIVID, method, 0.0), DULL)
    torch.testing.assert_close(recolour(DULL, VIVID, method, 0.25), 0.75 * DULL + 0.25 * full)


@ALL
def test_flat_and_tiny_pictures_are_recoloured_within_the_range(method: str) -> None:
    for one in (torch.zeros(3, 1, 1), torch.ones(3, 24, 32), DULL):
        for other in (torch.full((3, 1, 1), -1.0), VIVID):
            coloured = recolour(one, other, method)
            assert coloured.shape == one.shape
            assert bool(torch.isfinite(coloured).all())
            assert float(coloured.abs().max()) <= 1


def test_luminance_keeps_the_light_of_one_and_the_chroma_of_the_other() -> None:
    dull, vivid = 0.3 * picture(24, 32, 1), 0.3 * picture(24, 32, 2)
    coloured = to_yiq(recolour(dull, vivid, "luminance"))
    torch.testing.assert_close(coloured[0], to_yiq(dull)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(coloured[1:], to_yiq(vivid)[1:], atol=1e-5, rtol=0)


def test_grey_has_luma_and_no_chroma() -> None:
    torch.testing.assert_close(to_yiq(torch.full((3, 1, 1), 0.4)).flatten(), torch.tensor([0.4, 0.0, 0.0]))


def test_yiq_goes_there_and_back() -> None:
    torch.testing.assert_close(from_yiq(to_yiq(VIVID)), VIVID)


def test_chroma_of_a_smaller_picture_is_enlarged() -> None:
    red = torch.tensor([0.5, -0.5, -0.5]).view(3, 1, 1).expand(3, 5, 7)
    coloured = to_yiq(recolour(torch.zeros(3, 20, 28), red.contiguous(), "luminance"))
    torch.testing.assert_close(coloured[1:, 3, 4], to_yiq(red)[1:, 0, 0])


def test_linear_takes_mean_and_covariance() -> None:
    coloured = recolour(DULL, VIVID * 0.5, "linear").flatten(1)
    wanted = (VIVID * 0.5).flatten(1)
    torch.testing.assert_close(coloured.mean(dim=1), wanted.mean(dim=1), atol=2e-3, rtol=0)
    torch.testing.assert_close(torch.cov(coloured), torch.cov(wanted), atol=2e-3, rtol=0)


def test_histogram_takes_the_values_of_equal_rank_by_hand() -> None:
    values = torch.tensor([0.3, -0.1, 0.0, 0.9]).expand(3, 1, 4)
    wanted = torch.tensor([-1.0, 1.0, 0.5, 0.0]).expand(3, 1, 4)
    expected = torch.tensor([0.5, -1.0, 0.0, 1.0]).expand(3, 1, 4)
    torch.testing.assert_close(recolour(values, wanted, "histogram"), expected)


def test_histogram_of_another_number_of_pixels_is_taken() -> None:
    coloured = recolour(DULL, picture(50, 40, 3), "histogram").flatten(1)
    wanted = picture(50, 40, 3).flatten(1)
    levels = torch.linspace(0.05, 0.95, 9)
    torch.testing.assert_close(coloured.quantile(levels, dim=1), wanted.quantile(levels, dim=1), atol=0.02, rtol=0)


def test_equal_values_stay_equal_under_the_histogram() -> None:
    steps = torch.tensor([0.0, 0.0, 0.5, 0.5]).expand(3, 1, 4)
    coloured = recolour(steps, VIVID, "histogram")
    assert torch.equal(coloured[:, 0, 0], coloured[:, 0, 1])
    assert torch.equal(coloured[:, 0, 2], coloured[:, 0, 3])


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_bounds_is_refused(strength: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recolour(DULL, VIVID, "linear", strength)
    assert_sentence(caught.value, "from 0 to 1")


def test_an_unknown_colouring_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="luminance, histogram, linear"):
        recolour(DULL, VIVID, "sepia")


def test_alpha_of_the_content_is_kept() -> None:
    content = Image.new("RGBA", (4, 2), (10, 20, 30, 255))
    content.putpixel((1, 0), (10, 20, 30, 77))
    kept = keep_alpha(Image.new("RGB", (4, 2), (200, 0, 0)), content)
    assert kept.mode == "RGBA"
    assert kept.getpixel((1, 0)) == (200, 0, 0, 77)
    assert kept.getpixel((0, 0)) == (200, 0, 0, 255)


def test_alpha_is_resized_to_the_result() -> None:
    content = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    kept = keep_alpha(Image.new("RGB", (8, 8)), content)
    assert kept.size == (8, 8)
    assert int(np.asarray(kept)[..., 3].max()) == 0


def test_without_alpha_the_picture_is_unchanged() -> None:
    image = Image.new("RGB", (3, 3))
    assert keep_alpha(image, Image.new("RGB", (3, 3))) is image
