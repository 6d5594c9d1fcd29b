"""Every layer belongs to one group, and mixing exchanges exactly the layers of the groups named."""

import pytest
import torch

from studio.core.errors import InvalidRequest, UnknownName
from studio.latent.mixing import LAYER_GROUPS, layer_slices, mix


@pytest.mark.parametrize("layers", range(2, 20))
def test_groups_cover_every_layer_once_and_in_order(layers: int) -> None:
    covered = [index for part in layer_slices(layers).values() for index in range(layers)[part]]
    assert covered == list(range(layers))


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        (2, {"coarse": 1, "fine": 1}),
        (3, {"coarse": 1, "middle": 1, "fine": 1}),
        (7, {"coarse": 2, "middle": 2, "fine": 3}),
    ],
)
def test_groups_are_thirds(layers: int, sizes: dict[str, int]) -> None:
    assert {name: part.stop - part.start for name, part in layer_slices(layers).items()} == sizes


def test_one_layer_cannot_be_mixed() -> None:
    with pytest.raises(InvalidRequest, match="single layer"):
        layer_slices(1)


def test_mixing_takes_the_second_picture_where_the_groups_say() -> None:
    mixed = mix(torch.zeros(1, 6, 2), torch.ones(1, 6, 2), ["coarse", "fine"])
    assert mixed[0, :, 0].tolist() == [1, 1, 0, 0, 1, 1]


def test_mixing_every_group_is_the_second_picture_and_mixing_none_the_first() -> None:
    a, b = torch.randn(2, 1, 7, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mix(a, b, LAYER_GROUPS), b)
    assert torch.equal(mix(a, b, []), a)


def test_the_inputs_stay_as_they_are() -> None:
    a, b = torch.zeros(1, 3, 2), torch.ones(1, 3, 2)
    mix(a, b, ["fine"])
    assert float(a.sum()) == 0


def test_an_unknown_group_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="coarse, middle, fine"):
        mix(torch.zeros(1, 3, 2), torch.ones(1, 3, 2), ["tiny"])
