"""Names, refusals, descriptions and their cache."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.core.errors import InvalidRequest, UnknownName
from studio.evaluation.cache import describe_cached, likenesses_cached
from studio.evaluation.features import (
    describe,
    feature_net,
    likenesses,
    refuse_own_judge,
    resized,
    training_features,
    unit_rows,
)


def finish(stage) -> tuple[list[int], Any]:
    counts = []
    while True:
        try:
            counts.append(next(stage))
        except StopIteration as stop:
            return counts, stop.value


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (11, 3, 20, 20), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_an_unknown_network_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="vgg16, lite0, inception"):
        feature_net("resnet")


def test_an_empty_weights_path_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="empty path"):
        feature_net("vgg16=")


def test_an_image_of_the_right_size_is_only_scaled_and_a_flat_one_stays_flat() -> None:
    grey = torch.full((1, 3, 128, 128), 51, dtype=torch.uint8)
    assert torch.equal(resized(grey), torch.full((1, 3, 128, 128), 0.2))
    small = resized(grey[..., :32, :32])
    assert small.shape == (1, 3, 128, 128)
    assert small.numpy() == pytest.approx(0.2, abs=1e-6)


def test_bicubic_overshoot_is_clamped() -> None:
    edge = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    assert resized(edge).amin() == 0
    assert resized(edge).amax() == 1


def test_squared_distance_of_unit_rows_is_one_minus_cosine() -> None:
    rows = unit_rows(torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [9.0, 0.0]]))
    distances = torch.cdist(rows, rows).square()
    assert distances[0].tolist() == pytest.approx([0, 1, 2, 0], abs=1e-6)


@pytest.mark.parametrize("trained", [["lite0"], ["vgg16", "lite0"], ["lite0-stride8"]])
def test_a_model_is_not_judged_on_features_of_its_own_training(trained: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="trained with lite0 features") as caught:
        refuse_own_judge(["lite0"], trained)
    assert "known: " in str(caught.value)
    assert "inception" in str(caught.value)


def test_a_model_is_judged_on_other_features_and_where_nothing_is_known() -> None:
    refuse_own_judge(["vgg16=some/file"], ["lite0", "vgg19"])
    refuse_own_judge(["vgg16"], training_features({}))


def test_weights_from_a_file_do_not_get_round_the_refusal() -> None:
    with pytest.raises(InvalidRequest, match="trained with vgg16"):
        refuse_own_judge(["vgg16=some/file"], ["vgg16"])


@pytest.mark.parametrize(
    ("provenance", "names"),
    [({"training_features": ["lite0", "vgg16"]}, ("lite0", "vgg16")), ({"training_features": "lite0"}, ("lite0",)),
     ({"training_features": None}, ()), ({}, ())],
)  # fmt: skip
def test_training_features_are_read_from_the_provenance(provenance: dict, names: tuple[str, ...]) -> None:
    assert training_features(provenance) == names


def test_a_description_keeps_the_order_and_measures_within_classes(net, images: torch.Tensor) -> None:
    labels = torch.tensor([1, 0, 1, -1, 0, 1, 1, 2, -1, 0, 1])
    counts, found = finish(describe(net, images, labels, batch=2))
    assert sum(counts) == 11
    assert max(counts) == 2
    pooled = net(images).pooled
    assert torch.allclose(found.pooled, pooled, atol=1e-6)
    assert torch.equal(found.of_class(1), found.pooled[labels == 1])

    def mean_pair(rows: torch.Tensor) -> float:
        return sum(float((a - b).square().sum()) for a, b in itertools.combinations(rows, 2)) / (
            len(rows) * (len(rows) - 1) / 2
        )

    assert set(found.within) == {0, 1}  # one picture of class 2 has no pair, and -1 is no class
    assert found.within[1] == pytest.approx(mean_pair(pooled[labels == 1]), rel=1e-4)
    assert found.diversity == pytest.approx(mean_pair(pooled), rel=1e-4)


def test_the_cache_gives_back_what_was_described(net, images: torch.Tensor, tmp_path: Path) -> None:
    labels = torch.arange(11) % 2
    _, first = finish(describe_cached(tmp_path, net, images, labels, 4))
    counts, second = finish(describe_cached(tmp_path, net, images, labels, 4))
    assert counts == [11]
    assert torch.equal(first.pooled, second.pooled)
    assert (first.diversity, first.within) == (second.diversity, second.within)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_images_labels_or_weights_are_described_anew(net, images: torch.Tensor, tmp_path: Path) -> None:
    labels = torch.arange(11) % 2
    finish(describe_cached(tmp_path, net, images, labels, 4))
    finish(describe_cached(tmp_path, net, images.flip(0), labels, 4))
    finish(describe_cached(tmp_path, net, images, labels.flip(0) + 1, 4))
    finish(likenesses_cached(tmp_path, net, images, 4))
    net.gain.data.fill_(2)
    finish(describe_cached(tmp_path, net, images, labels, 4))
    assert len(list(tmp_path.iterdir())) == 5


def test_likenesses_are_unit_rows_and_come_back_from_the_cache(net, images: torch.Tensor, tmp_path: Path) -> None:
    counts, found = finish(likenesses(net, images, 4))
    assert counts == [4, 4, 3]
    assert found.norm(dim=1).tolist() == pytest.approx([1] * 11, rel=1e-5)
    assert torch.equal(finish(likenesses_cached(tmp_path, net, images, 4))[1], found)
    counts, cached = finish(likenesses_cached(tmp_path, net, images, 4))
    assert counts == [11]
    assert torch.equal(cached, found)


@pytest.mark.parametrize("damage", [b"", b"not safetensors", None])
def test_a_damaged_cache_is_made_anew(net, images: torch.Tensor, tmp_path: Path, damage: bytes | None) -> None:
    labels = torch.arange(11) % 2
    _, first = finish(describe_cached(tmp_path, net, images, labels, 4))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-8] if damage is None else damage)
    counts, again = finish(describe_cached(tmp_path, net, images, labels, 4))
    assert len(counts) > 1
    assert torch.equal(first.pooled, again.pooled)
    assert finish(describe_cached(tmp_path, net, images, labels, 4))[0] == [11]
