"""Tiles cover a picture once, and what they give together is what the whole picture gives."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy import ToyEncoder, picture

from studio.core.errors import InvalidRequest
from studio.style.objective import Objective, begin, evaluate, objective
from studio.style.refine import refine
from studio.style.refine_config import RefineConfig
from studio.style.similarity import SIMILARITIES
from studio.style.tiles import spans, tiles, whole

TILED = RefineConfig(start="content", tile=64, halo=64, tile_above=64)


def finish(job: Any) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def goal(config: RefineConfig, height: int = 160, width: int = 208) -> Objective:
    styles = [picture(96, 80, 2), picture(64, 120, 3)]
    goal = finish(objective(ToyEncoder(), picture(height, width, 1), styles, config))
    assert isinstance(goal, Objective)
    return goal


@given(length=st.integers(1, 3000), tile=st.integers(1, 40), halo=st.integers(0, 8))
def test_cores_cover_a_side_once_and_windows_share_the_grid(length: int, tile: int, halo: int) -> None:
    parts = spans(length, 16 * tile, 16 * halo)
    assert [part.first for part in parts] == [0, *(part.last for part in parts[:-1])]
    assert parts[-1].last == length
    for part in parts:
        assert part.start % 16 == part.first % 16 == 0
        assert 0 <= part.start <= part.first < part.last <= part.stop <= length
        assert part.last - part.first <= 16 * tile
        assert part.first - part.start in (16 * halo, part.first)
        assert part.stop - part.last in (16 * halo, length - part.last)


def test_a_side_of_100_in_tiles_of_64() -> None:
    first, second = spans(100, 64, 16)
    assert (first.start, first.first, first.last, first.stop) == (0, 0, 64, 80)
    assert (second.start, second.first, second.last, second.stop) == (48, 64, 100, 100)


@pytest.mark.parametrize(("tile", "halo"), [(8, 0), (50, 16), (64, 8), (64, -16), (0, 0)])
def test_tiles_off_the_grid_are_refused(tile: int, halo: int) -> None:
    with pytest.raises(InvalidRequest, match="multiples of 16"):
        spans(100, tile, halo)


@pytest.mark.parametrize("size", [(100, 130), (47, 33), (160, 208)])
def test_features_of_the_cores_are_those_of_the_whole_picture(size: tuple[int, int]) -> None:
    encoder, image = ToyEncoder(), picture(*size, 1)
    maps = encoder(image[None])
    for layer, features in enumerate(maps):
        covered = []
        for tile in tiles(*size, 48, 48):
            window = encoder(tile.window(image)[None])[layer]
            covered.append(tile.core(window, 1 << layer)[0])
        joined = torch.cat(covered, dim=1)
        assert joined.shape[1] == features[0].flatten(1).shape[1]
        torch.testing.assert_close(joined.sum(dim=1), features[0].flatten(1).sum(dim=1), rtol=1e-4, atol=1e-4)


def test_the_whole_is_one_tile() -> None:
    (tile,) = whole(30, 40)
    image = picture(30, 40, 0)
    assert torch.equal(tile.window(image), image)
    assert torch.equal(tile.core(image, 1), image.flatten(1))


@pytest.mark.parametrize("name", [n for n in SIMILARITIES.names() if SIMILARITIES[n].evidence == "moments"])
def test_loss_and_gradient_in_tiles_are_those_of_the_whole(name: str) -> None:
    config = replace(TILED, similarities=(name,), total_variation=0.1)
    point = picture(160, 208, 5)
    tiled = finish(evaluate(goal(config), point))
    once = finish(evaluate(goal(replace(config, tile_above=4096)), point))
    assert len(goal(config).plan) == 12
    assert tiled.losses.metrics() == pytest.approx(once.losses.metrics(), rel=1e-3)
    torch.testing.assert_close(tiled.gradient, once.gradient, rtol=1e-2, atol=2e-3 * float(once.gradient.abs().max()))


@pytest.mark.parametrize("name", [n for n in SIMILARITIES.names() if SIMILARITIES[n].evidence == "sample"])
def test_samples_of_tiles_tell_what_the_sample_of_the_whole_tells(name: str) -> None:
    config = replace(TILED, similarities=(name,), content_weight=0.0)
    point = picture(160, 208, 5)
    tiled = finish(evaluate(goal(config), point))
    once = finish(evaluate(goal(replace(config, tile_above=4096)), point))
    assert tiled.losses.style == pytest.approx(once.losses.style, rel=0.1)


@pytest.mark.parametrize("name", SIMILARITIES.names())
def test_the_gradient_in_tiles_is_the_slope_of_the_loss_in_tiles(name: str) -> None:
    styles = [picture(64, 48, 2).double()]
    config = replace(TILED, similarities=(name,))
    target = finish(objective(ToyEncoder(), picture(80, 112, 1).double(), styles, config))
    point = picture(80, 112, 5).double()
    here = finish(evaluate(target, point))
    way = 1e-6 * here.gradient / here.gradient.square().mean().sqrt()
    ahead, behind = (finish(evaluate(target, point + sign * way)).losses.total for sign in (1, -1))
    assert ahead - behind == pytest.approx(2 * float((way * here.gradient).sum()), rel=0.01)


def test_the_ceiling_is_the_same_in_tiles() -> None:
    start = picture(160, 208, 6)
    tiled, _ = finish(begin(goal(TILED), start))
    once, _ = finish(begin(goal(replace(TILED, tile_above=4096)), start))
    assert tiled.ceiling == pytest.approx(once.ceiling, rel=1e-3)


def test_no_seam_is_left_where_tiles_meet() -> None:
    """The seam gradient ratio: steps between neighbours across the seams, over those elsewhere; 1 without a seam."""
    config = replace(TILED, steps=12, tile=64, content_weight=0.05)
    content = picture(128, 192, 1, smooth=16)
    *_, last = refine(ToyEncoder(), content, [picture(96, 96, 2)], config)
    assert last.result
    result = last.result.picture
    change = (result - content).diff(dim=-1).abs().mean(dim=(0, 1))
    seams = [63, 127]
    elsewhere = [i for i in range(191) if i not in seams]
    assert float((result - content).abs().mean()) > 0.02
    assert 0.7 < float(change[seams].mean() / change[elsewhere].mean()) < 1.3


def test_work_in_tiles_pauses_between_tiles() -> None:
    config = replace(TILED, steps=2)
    job = list(refine(ToyEncoder(), picture(128, 128, 1), [picture(64, 64, 2)], config))
    assert len(job) > 2 * 2 * 4
    assert [progress.step for progress in job] == sorted(progress.step for progress in job)
    assert job[-1].step == 2
