"""Palettes that are turned, exchanged and inverted as worked by hand, and alike for a whole episode."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.meta.augment import TaskAugmentation, TaskTransform, draw_transform, palette, transform_pictures
from studio.meta.episodes import Episode, Task, augment_episode

NOTHING = TaskAugmentation(flip=0, recolour=1, permute=0, invert=0, hue=0, saturation=(1, 1))
WILD = TaskAugmentation(flip=0.5, recolour=1, permute=0.5, invert=0.5, hue=180, saturation=(0, 4))

angles = st.floats(-180, 180)
transforms = st.builds(
    TaskTransform,
    channels=st.permutations([0, 1, 2]).map(tuple),
    hue=angles,
    saturation=st.floats(0, 4),
    inverted=st.booleans(),
    mirrored=st.booleans(),
)


def pictures(count: int, seed: int = 0, side: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def recoloured(colour: tuple[int, int, int], transform: TaskTransform) -> list[int]:
    picture = torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1)
    return transform_pictures(picture, transform).flatten().tolist()


def test_a_third_of_a_turn_makes_red_green_green_blue_and_blue_red() -> None:
    turn = TaskTransform(hue=120)
    assert recoloured((200, 20, 50), turn) == [50, 200, 20]
    assert recoloured((200, 20, 50), TaskTransform(hue=-120)) == [20, 50, 200]


def test_a_sixth_of_a_turn_makes_pale_red_pale_yellow() -> None:
    # (⅓, −⅓, −⅓) is grey −1/9 and colour (4, −2, −2)/9; turned by 60° the colour is (2, 2, −4)/9, opposite to blue's
    colour = torch.tensor([1.0, -1, -1]).div(3).view(1, 3, 1, 1)
    turned = transform_pictures(colour, TaskTransform(hue=60)).flatten().tolist()
    assert turned == pytest.approx([1 / 9, 1 / 9, -5 / 9], abs=1e-6)


def test_channels_are_taken_from_where_the_transform_says() -> None:
    assert recoloured((200, 20, 50), TaskTransform(channels=(2, 0, 1))) == [50, 200, 20]
    assert recoloured((200, 20, 50), TaskTransform(channels=(1, 0, 2))) == [20, 200, 50]


def test_without_saturation_a_colour_is_the_mean_of_its_channels() -> None:
    assert recoloured((200, 20, 50), TaskTransform(saturation=0)) == [90, 90, 90]
    assert recoloured((100, 70, 100), TaskTransform(saturation=2)) == [110, 50, 110]


def test_the_negative_exchanges_black_and_white() -> None:
    assert recoloured((0, 255, 50), TaskTransform(inverted=True)) == [255, 0, 205]


def test_a_colour_out_of_range_is_clipped() -> None:
    assert recoloured((255, 0, 0), TaskTransform(saturation=2)) == [255, 0, 0]


def test_left_becomes_right_and_top_stays_top() -> None:
    picture = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    assert transform_pictures(picture, TaskTransform(mirrored=True))[0, 0].tolist() == [[1, 0], [3, 2]]


def test_the_plain_transformation_changes_no_bit() -> None:
    images = pictures(3)
    assert torch.equal(transform_pictures(images, TaskTransform()), images)
    for seed in range(20):
        assert draw_transform(NOTHING, torch.Generator().manual_seed(seed)) == TaskTransform()


@given(hue=angles, saturation=st.floats(0, 4), level=st.integers(0, 255), inverted=st.booleans())
def test_greys_stay_greys(hue: float, saturation: float, level: int, inverted: bool) -> None:
    transform = TaskTransform(hue=hue, saturation=saturation, inverted=inverted)
    assert recoloured((level,) * 3, transform) == [255 - level if inverted else level] * 3


@given(transforms)
def test_a_palette_keeps_the_mean_and_stretches_colour_by_the_saturation(transform: TaskTransform) -> None:
    colour = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64)
    changed = palette(transform) @ colour
    sign = -1 if transform.inverted else 1
    assert changed.mean().item() == pytest.approx(sign * colour.mean().item())
    spread = (colour - colour.mean()).norm().item()
    assert (changed - changed.mean()).norm().item() == pytest.approx(transform.saturation * spread, abs=1e-9)


@given(transforms, st.integers(0, 1000))
def test_bytes_and_floats_change_alike(transform: TaskTransform, seed: int) -> None:
    images = pictures(2, seed)
    floats = transform_pictures(images.float().div(127.5).sub(1), transform)
    assert floats.abs().max() <= 1
    back = transform_pictures(images, transform)
    assert back.dtype == torch.uint8
    torch.testing.assert_close(back.float().div(127.5).sub(1), floats, atol=1 / 255 + 1e-5, rtol=0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_one_transformation_serves_the_whole_episode(seed: int, shots: int, queries: int) -> None:
    episode = Episode(Task("a", ()), pictures(shots, seed), pictures(queries, seed + 1))
    changed = augment_episode(episode, WILD, torch.Generator().manual_seed(seed))
    transform = draw_transform(WILD, torch.Generator().manual_seed(seed))
    for before, after in ((episode.support, changed.support), (episode.query, changed.query)):
        assert after.shape == before.shape
        for one, picture in zip(before, after, strict=True):
            assert torch.equal(transform_pictures(one[None], transform)[0], picture)


def test_transformations_are_as_frequent_and_as_strong_as_configured() -> None:
    config = TaskAugmentation(flip=0.5, recolour=1, permute=0.6, invert=0.1, hue=30, saturation=(0.5, 1.5))
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_transform(config, generator) for _ in range(4000)]
    assert sum(t.mirrored for t in drawn) / 4000 == pytest.approx(0.5, abs=0.03)
    assert sum(t.inverted for t in drawn) / 4000 == pytest.approx(0.1, abs=0.02)
    assert sum(t.channels != (0, 1, 2) for t in drawn) / 4000 == pytest.approx(0.6 * 5 / 6, abs=0.03)
    assert len({t.channels for t in drawn}) == 6
    assert min(t.hue for t in drawn) == pytest.approx(-30, abs=0.5)
    assert max(t.hue for t in drawn) == pytest.approx(30, abs=0.5)
    assert min(t.saturation for t in drawn) == pytest.approx(0.5, abs=0.01)
    assert max(t.saturation for t in drawn) == pytest.approx(1.5, abs=0.01)


def test_true_palettes_stay_among_the_drawn_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_transform(TaskAugmentation(recolour=0.25), generator) for _ in range(4000)]
    assert sum(t.recolours for t in drawn) / 4000 == pytest.approx(0.25, abs=0.03)
    assert sum(t.mirrored for t in drawn if not t.recolours) / 3000 == pytest.approx(0.5, abs=0.04)


def test_a_switch_changes_no_other_draw() -> None:
    with_flip = draw_transform(WILD, torch.Generator().manual_seed(5))
    never = draw_transform(replace(WILD, flip=0), torch.Generator().manual_seed(5))
    assert replace(with_flip, mirrored=False) == never


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"flip": 1.1}, "flip is a probability, from 0 to 1; got 1.1"),
        ({"invert": float("nan")}, "invert is a probability"),
        ({"recolour": -1}, "recolour is a probability"),
        ({"hue": 200}, "hue must be from 0 to 180 degrees; got 200"),
        ({"saturation": (1.5, 0.5)}, "the lesser first; got 1.5 and 0.5"),
    ],
)
def test_settings_out_of_range_are_sentences(setting: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        TaskAugmentation(**setting)
