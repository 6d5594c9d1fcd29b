"""What takes the steps of an adaptation."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def groups(named: Mapping[str, nn.Parameter], rate: float, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Groups for an optimiser: one for all, or where there are factors one for each tensor."""
    if not factors:
        return [{"params": list(named.values()), "lr": rate}] if named else []
    return [{"params": [parameter], "lr": rate * factors[name]} for name, parameter in named.items()]


def optimiser(kind: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Adam or SGD for groups of parameters. kind: "adam" or "sgd"."""
    if kind == "sgd":
        return torch.optim.SGD(groups, foreach=True)
    return torch.optim.Adam(groups, betas=(0.0, 0.99), foreach=True)
