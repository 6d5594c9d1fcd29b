"""A look into networks in training: gradients by layer, and units that have died."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from studio.core.activations import ACTIVATIONS

PICTURES = 64  # that units are looked at with
FLAT = 0.05  # a slope below this share of the activation's steepest counts as none
BOUNDED = (nn.Sigmoid, nn.Tanh)
KINDS = tuple({type(ACTIVATIONS[name]()) for name in ACTIVATIONS})


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """‖∂L/∂W‖₂ of each layer's weight, as the last step left it, in the layers' order; finite ones alone."""
    norms = {
        name.removesuffix(".weight"): float(parameter.grad.float().norm())
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and parameter.grad is not None
    }
    return {name: norm for name, norm in norms.items() if math.isfinite(norm)}


@torch.no_grad()
def dead_shares(network: nn.Module, *inputs: Any) -> dict[str, float]:
    """The share of dead units in each activation layer, on a batch. Statistics of batch norm stay as they are.

    A unit is a channel. Behind a rectifier (relu, leaky_relu, prelu, elu, gelu, silu) it is dead when its output is 0
    or less at every place of every picture: it has stopped detecting anything. Behind sigmoid or tanh it is dead when
    at every place the slope is under 5 % of the steepest: it is saturated, and hardly any gradient passes.
    """
    seen: dict[str, float] = {}
    handles = [
        module.register_forward_hook(_looking(name, seen))
        for name, module in network.named_modules()
        if isinstance(module, KINDS)
    ]
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    return seen


def _looking(name: str, seen: dict[str, float]) -> Any:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del inputs
        seen[name.rpartition(".")[0] or name] = float(dead_units(module, output).float().mean())

    return hook


def dead_units(module: nn.Module, output: Tensor) -> Tensor:
    """Which channels are dead. output: (B,C,H,W) of the activation → (C,) bool."""
    if isinstance(module, nn.Sigmoid):
        idle = output * (1 - output) < FLAT / 4  # the slope y(1 − y) is ¼ at most
    elif isinstance(module, nn.Tanh):
        idle = 1 - output.square() < FLAT  # the slope 1 − y² is 1 at most
    else:
        idle = output <= 0
    return idle.transpose(0, 1).flatten(1).all(dim=1)


def look(trainer: Any, real: Tensor, z: Tensor) -> dict[str, Mapping[str, Mapping[str, float]]]:
    """Gradients and dead units of both players. real: (B,3,R,R) in [-1,1] for the discriminator, z: (B,Z)."""
    players = {name: trainer.modules()[name] for name in ("model", "discriminator")}
    shown = {"model": z, "discriminator": real}
    return {
        "gradients": {name: gradient_norms(network) for name, network in players.items()},
        "dead": {name: dead_shares(network, shown[name]) for name, network in players.items()},
    }
