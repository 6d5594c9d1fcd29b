"""Neighbours of a picture: a step on the sphere, after which noise is still standard normal."""

import math

from torch import Tensor


def vary(z: Tensor, step: Tensor, radius: float) -> Tensor:
    """cos(a) z + sin(a) step with a = radius · π/2: standard normal if z and step are, and independent.

    z, step: (B,Z) → (B,Z). radius: 0 the same picture, bit for bit, 1 an unrelated one, which is the step itself.
    """
    if radius == 0:
        return z
    angle = radius * math.pi / 2
    return math.cos(angle) * z + math.sin(angle) * step
