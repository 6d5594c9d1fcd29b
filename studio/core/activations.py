"""Activation functions by name, as fresh modules."""

from collections.abc import Callable

from torch import nn

from studio.core.registry import Registry

ACTIVATIONS: Registry[Callable[[], nn.Module]] = Registry("activation")

ACTIVATIONS.add("sigmoid", nn.Sigmoid)
ACTIVATIONS.add("tanh", nn.Tanh)
ACTIVATIONS.add("relu", lambda: nn.ReLU(inplace=False))
ACTIVATIONS.add("leaky_relu", lambda: nn.LeakyReLU(0.2))
ACTIVATIONS.add("prelu", lambda: nn.PReLU(init=0.25))
ACTIVATIONS.add("elu", nn.ELU)
ACTIVATIONS.add("gelu", nn.GELU)
ACTIVATIONS.add("silu", nn.SiLU)


def activation(name: str) -> nn.Module:
    """A fresh activation module. Raises UnknownName with the list of known ones."""
    return ACTIVATIONS[name]()
