"""Directions: principal components, closed-form factors and scores, on data whose answer is known."""

import math
from pathlib import Path

import pytest
import torch
from sentences import assert_sentence
from torch import Tensor

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import LatentModel
from studio.core.progress import result_of
from studio.latent.directions import (
    DIRECTIONS,
    Direction,
    Samples,
    along_score,
    chosen_layers,
    deviation,
    draw_samples,
    factors,
    find_by_score,
    move,
    principal_components,
)
from studio.latent.named import read_directions, save_directions


class Linear(LatentModel):
    """w is z, twice; the colours are A w of the first layer, with A = diag(1, 3, 2)."""

    latent_dim, width, layers, resolution, class_count = 3, 3, 2, 4, 0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w_mean", torch.zeros(1, 3))
        self.matrix = torch.diag(torch.tensor([1.0, 3.0, 2.0]))

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        return z[:, None].expand(-1, 2, -1)

    def synthesis(self, w: Tensor, details: object = ()) -> Tensor:
        return (w[:, 0] @ self.matrix.T)[:, :, None, None].expand(-1, -1, 4, 4) / 10

    def style_weights(self) -> tuple[Tensor, ...]:
        return self.matrix, torch.tensor([[0.0, 0.0, 5.0]])


def test_principal_components_of_points_on_a_cross_are_its_bars() -> None:
    points = torch.tensor([[3.0, 1.0], [-1.0, 1.0], [1.0, 2.0], [1.0, 0.0]])  # around (1,1), 2 and 1 long
    vectors, deviations = principal_components(points)
    torch.testing.assert_close(vectors, torch.eye(2))
    torch.testing.assert_close(deviations, torch.tensor([math.sqrt(2), math.sqrt(0.5)]))  # √(8/4), √(2/4)


def test_a_class_alone_makes_no_principal_component() -> None:
    w = torch.tensor([[[9.0, 1.0]], [[9.0, -1.0]], [[-9.0, 1.0]], [[-9.0, -1.0]]])  # the first entry is the class's
    within = Samples(w, torch.eye(2)[[0, 0, 1, 1]]).within
    torch.testing.assert_close(within, w * torch.tensor([0.0, 1.0]))


def test_the_factors_of_a_diagonal_layer_are_its_axes_by_strength() -> None:
    vectors, values = factors([torch.diag(torch.tensor([1.0, 3.0, 2.0]))])
    torch.testing.assert_close(vectors, torch.eye(3)[[1, 2, 0]])
    torch.testing.assert_close(values, torch.tensor([9.0, 4.0, 1.0]))


def test_factors_are_those_of_the_chosen_layers() -> None:
    model, samples = Linear(), draw_samples(Linear(), 64)
    first = DIRECTIONS["sefa"](model, samples, 0, (0,))
    both = DIRECTIONS["sefa"](model, samples, 0, (0, 1))  # 2² + 5² = 29 along the third axis
    torch.testing.assert_close(first.vector, torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(both.vector, torch.tensor([0.0, 0.0, 1.0]))
    assert first.sigma == pytest.approx(float(samples.w[:, 0, 1].std(correction=0)), rel=1e-5)


def test_a_rank_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InvalidRequest) as refused:
        DIRECTIONS["sefa"](Linear(), draw_samples(Linear(), 8), 3, (0,))
    assert_sentence(refused.value, "3 directions", "got 3")


def test_a_move_of_two_deviations_on_one_layer() -> None:
    w = torch.zeros(1, 2, 3)
    moved = move(w, Direction(torch.tensor([0.0, 1.0, 0.0]), 0.5), 2.0, (1,))
    assert moved.tolist() == [[[0, 0, 0], [0, 1, 0]]]
    assert w.abs().sum() == 0
    by_layer = Direction(torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]), 1.0)
    assert move(w, by_layer, 3.0, (0, 1)).tolist() == [[[3, 0, 0], [0, 0, 3]]]


def test_deviation_along_an_axis() -> None:
    w = torch.tensor([[[2.0, 0.0]], [[-2.0, 0.0]]])
    assert deviation(w, torch.tensor([1.0, 0.0])) == 2
    assert deviation(w, torch.tensor([0.0, 1.0])) == 0


def test_chosen_layers_are_those_of_the_groups() -> None:
    assert chosen_layers(7, ()) == (0, 1, 2, 3, 4, 5, 6)
    assert chosen_layers(7, ("coarse",)) == (0, 1)
    assert chosen_layers(7, ("fine", "coarse")) == (0, 1, 4, 5, 6)
    assert chosen_layers(1, ("fine",)) == (0,)


def test_the_direction_of_a_score_is_what_the_score_measures() -> None:
    found = result_of(find_by_score(Linear(), lambda pictures: pictures[:, 1].mean(dim=(1, 2)), count=64))
    assert float(found.vector @ torch.tensor([0.0, 1.0, 0.0])) > 0.98  # green is three times the second entry
    assert found.sigma == pytest.approx(1, abs=0.1)


def test_a_score_that_is_always_the_same_is_refused() -> None:
    w = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InvalidRequest, match="same for every picture"):
        along_score(w, torch.ones(16), w)
    with pytest.raises(InvalidRequest, match="not a number"):
        along_score(w, torch.full((16,), torch.nan), w)


def test_named_directions_survive_their_file_and_belong_to_one_model(tmp_path: Path) -> None:
    flat = Direction(torch.tensor([0.0, 1.0, 0.0]), 0.5)
    deep = Direction(torch.tensor([[1.0, 0, 0], [0, 0, 0]]), 2.0)
    path = tmp_path / "linear-directions.safetensors"
    save_directions(path, {"more green": flat, "more red below": deep}, 2, "a" * 64)
    found = read_directions(checkpoint.load(path), "a" * 64)
    assert list(found) == ["more green", "more red below"]
    assert found["more green"].vector.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert (found["more green"].sigma, found["more red below"].sigma) == (0.5, 2)
    with pytest.raises(CheckpointError, match="another model"):
        read_directions(checkpoint.load(path), "b" * 64)
