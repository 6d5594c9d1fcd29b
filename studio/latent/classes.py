"""Classes by name as points of a simplex."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from studio.core.errors import InvalidRequest, UnknownName


def simplex(weights: Mapping[str, float], classes: Sequence[str]) -> Tensor:
    """Weights by class name as shares that sum to one; a class not named has none. → (K,) float32.

    Raises UnknownName for an unknown class, InvalidRequest for weights that are negative, not numbers or all zero.
    """
    if not classes:
        raise InvalidRequest("This model has no classes; leave the class weights out.")
    unknown = next((name for name in weights if name not in classes), None)
    if unknown is not None:
        raise UnknownName("class", unknown, tuple(classes))
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise InvalidRequest(f"The weight of class {name!r} must be a number of 0 or more; got {weight}.")
    total = sum(weights.values())
    if total == 0:
        raise InvalidRequest("The weights of the classes are all 0; raise at least one.")
    if not math.isfinite(total):
        raise InvalidRequest("The weights of the classes are too large to add up; they are shares, so 0 to 1 will do.")
    return torch.tensor([weights.get(name, 0.0) / total for name in classes], dtype=torch.float32)
