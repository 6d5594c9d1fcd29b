"""Activations by name."""

import pytest
import torch

from studio.core.activations import ACTIVATIONS, activation
from studio.core.errors import UnknownName

# f(-1) and f(1), worked by hand from the definitions.
AT_ONE = {
    "sigmoid": (0.26894, 0.73106),
    "tanh": (-0.76159, 0.76159),
    "relu": (0.0, 1.0),
    "leaky_relu": (-0.2, 1.0),
    "prelu": (-0.25, 1.0),
    "elu": (-0.63212, 1.0),
    "gelu": (-0.15866, 0.84134),
    "silu": (-0.26894, 0.73106),
}


def test_the_table_is_the_promised_one() -> None:
    assert set(ACTIVATIONS.names()) == set(AT_ONE)


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_values_at_minus_one_and_one(name: str) -> None:
    with torch.no_grad():
        values = activation(name)(torch.tensor([-1.0, 1.0]))
    assert values.tolist() == pytest.approx(AT_ONE[name], abs=1e-4)


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_every_call_gives_a_fresh_module_that_keeps_its_input(name: str) -> None:
    assert activation(name) is not activation(name)
    x = torch.tensor([-2.0, 3.0], requires_grad=True)
    activation(name)(x).sum().backward()
    assert x.tolist() == [-2.0, 3.0]
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_an_unknown_activation_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="Unknown activation 'swish'; known: sigmoid, tanh, relu"):
        activation("swish")
