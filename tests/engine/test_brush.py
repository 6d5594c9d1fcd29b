"""The engine paints by the fused form where that is the model's own picture, in groups where no bit depends on them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from studio.engine.brush import GROUP, Brush
from studio.engine.device import Precision
from studio.models.gan import GanConfig, GanGenerator
from studio.models.gan_fused import FusedGan
from studio.models.packed import available

pytestmark = pytest.mark.skipif(not available(), reason="this torch has no packed convolutions")


@pytest.fixture
def real_kinds() -> None:
    """These tests use a kind of studio.models."""


@pytest.fixture
def model() -> GanGenerator:
    torch.manual_seed(0)
    made = GanGenerator(GanConfig(64, latent_dim=8, embedding=4, capacity=0.1), 2).eval().requires_grad_(False)
    made.optimise_()
    return made


@pytest.fixture
def precision(tmp_path: Path, model: GanGenerator) -> Precision:
    made = Precision(torch.device("cpu"), tmp_path / "processor.json")
    made.probe(model)
    return made


def rows(model: GanGenerator, count: int) -> Tensor:
    return torch.randn(count, model.layers, model.width, generator=torch.Generator().manual_seed(2))


def watch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the groups that the fused form is called with, from now on."""
    sizes: list[int] = []
    original = FusedGan.__call__

    def call(self: FusedGan, w: Tensor, details: tuple[Tensor, ...] = ()) -> Tensor:
        sizes.append(len(w))
        return original(self, w, details)

    monkeypatch.setattr(FusedGan, "__call__", call)
    return sizes


@pytest.mark.parametrize("count", [1, GROUP - 1, GROUP, 2 * GROUP + 3])
def test_a_picture_has_the_same_bits_in_any_company(model: GanGenerator, precision: Precision, count: int) -> None:
    brush = Brush(model, precision)
    w = rows(model, count)
    together = brush(w)
    assert together.shape == (count, 3, 64, 64)
    assert torch.equal(together, torch.cat([brush(one) for one in w.split(1)]))


def test_only_groups_of_the_size_that_was_tried_are_painted_together(
    model: GanGenerator, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    brush = Brush(model, precision)
    precision.tried.update(dict.fromkeys(precision.tried, GROUP))
    brush = Brush(model, precision)
    sizes = watch(monkeypatch)
    brush(rows(model, 2 * GROUP + 3))
    assert sizes == [GROUP, GROUP, 1, 1, 1]


def test_a_form_is_tried_once(model: GanGenerator, precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = watch(monkeypatch)
    Brush(model, precision)
    assert sizes == [1] * GROUP + [GROUP]
    Brush(model, precision)
    assert len(sizes) == GROUP + 1


def test_the_trial_does_not_depend_on_the_model_that_is_opened_first(
    model: GanGenerator, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Tensor] = []
    original = FusedGan.__call__

    def call(self: FusedGan, w: Tensor, details: tuple[Tensor, ...] = ()) -> Tensor:
        made.append(original(self, w, details))
        return made[-1]

    monkeypatch.setattr(FusedGan, "__call__", call)
    Brush(model, precision)
    first, made[:], precision.tried = list(made), [], {}
    for parameter in model.requires_grad_(False).parameters():
        parameter.zero_()  # a model that paints grey would find that nothing depends on company
    Brush(model, precision)
    assert len(made) == GROUP + 1
    assert all(torch.equal(one, again) for one, again in zip(first, made, strict=True))
    assert first[0].std() > 0.05


def test_an_operator_that_fails_is_not_used(
    model: GanGenerator, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FusedGan, w: Tensor, details: tuple[Tensor, ...] = ()) -> Tensor:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(FusedGan, "__call__", fail)
    brush = Brush(model, precision)
    w = rows(model, 1)
    assert torch.equal(brush(w), precision.synthesise(model, w))


def test_where_bits_depend_on_company_pictures_are_painted_alone(
    model: GanGenerator, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FusedGan.__call__
    monkeypatch.setattr(
        FusedGan, "__call__", lambda self, w, details=(): original(self, w, details) + 1e-6 * (len(w) - 1)
    )
    brush = Brush(model, precision)
    sizes = watch(monkeypatch)
    brush(rows(model, 3))
    assert sizes == [1, 1, 1]


def test_a_form_that_paints_something_else_is_not_used(
    model: GanGenerator, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FusedGan.__call__
    monkeypatch.setattr(FusedGan, "__call__", lambda self, w, details=(): original(self, w, details) + 0.1)
    brush = Brush(model, precision)
    w = rows(model, 2)
    expected = torch.cat([precision.synthesise(model, one) for one in w.split(1)])
    assert torch.equal(brush(w), expected)
    assert brush.bytes == 0
