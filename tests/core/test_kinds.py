"""The protocol of generators."""

import pytest
import torch

from studio.core.kinds import LatentModel, ModelKind


def test_forward_is_mapping_then_synthesis(tiny_kind: ModelKind) -> None:
    model = tiny_kind.build(tiny_kind.config(), 2).eval()
    z, weights = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.full((6, 2), 0.5)
    w = model.mapping(z, weights)
    assert w.shape == (6, model.layers, model.width)
    assert model(z, weights).shape == (6, 3, model.resolution, model.resolution)
    assert torch.equal(model(z, weights), model.synthesis(w))


def test_the_protocol_alone_is_no_model() -> None:
    with pytest.raises(TypeError, match="abstract"):
        LatentModel()  # type: ignore[abstract]


def test_a_model_need_not_fold_anything(tiny_kind: ModelKind) -> None:
    model = tiny_kind.build(tiny_kind.config(), 0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.optimise_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
