"""Dead units and gradient norms of networks made by hand."""

import pytest
import torch
from torch import nn

from studio.core.activations import ACTIVATIONS, activation
from studio.models.dcgan import Dcgan, DcganConfig
from studio.study.probe import dead_shares, dead_units, gradient_norms


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_a_channel_far_below_zero_is_dead_and_one_about_zero_is_not(name: str) -> None:
    x = torch.zeros(2, 2, 3, 3)
    x[:, 0], x[:, 1, 0, 0] = -20.0, 1.0
    module = activation(name)
    with torch.no_grad():
        assert dead_units(module, module(x)).tolist() == [True, False]


@pytest.mark.parametrize(("name", "dead"), [("sigmoid", True), ("tanh", True), ("relu", False), ("elu", False)])
def test_only_bounded_activations_die_of_large_inputs(name: str, dead: bool) -> None:
    module = activation(name)
    assert dead_units(module, module(torch.full((1, 1, 2, 2), 20.0))).tolist() == [dead]


def test_the_edge_of_saturation_is_five_percent_of_the_steepest_slope() -> None:
    # tanh: 1 − y² = 0.05 at y = 0.974679; sigmoid: y(1 − y) = 0.0125 at y = 0.012659.
    outputs = torch.tensor([0.974, 0.975]).view(1, 2, 1, 1)
    assert dead_units(nn.Tanh(), outputs).tolist() == [False, True]
    outputs = torch.tensor([0.0130, 0.0123]).view(1, 2, 1, 1)
    assert dead_units(nn.Sigmoid(), outputs).tolist() == [False, True]


def test_shares_are_by_layer_and_leave_the_statistics_alone() -> None:
    torch.manual_seed(0)
    model = Dcgan(DcganConfig(resolution=32, channels=16, latent_dim=4))
    norm = model.get_submodule("blocks.1.1")
    with torch.no_grad():
        norm.get_parameter("bias")[:2] = -100.0  # two of eight channels of the second block
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert dead_shares(model, torch.randn(8, 4)) == {"blocks.0": 0.0, "blocks.1": 0.25, "blocks.2": 0.0}
    assert model.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_gradient_norms_are_those_of_the_weights() -> None:
    network = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1, bias=False), nn.Linear(1, 1))
    network[0].weight.grad = torch.tensor([[3.0, 4.0]])
    network[1].weight.grad = torch.tensor([[float("nan")]])
    assert gradient_norms(network) == {"0": 5.0}
