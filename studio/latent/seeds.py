"""A seed is a picture: noise that depends on the seed alone, not on its place in a batch, the device or the thread."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from studio.core.errors import InvalidRequest

MAX_SEED = 2**63 - 1
_PICTURE, _DRAW, _STEP = range(3)  # independent streams of one seed


def noise(seeds: Sequence[int], dim: int) -> Tensor:
    """A row of standard normal numbers for each seed. seeds in [0, MAX_SEED] → (B,dim) float32 on the CPU.

    Each row has its own Philox generator (Salmon et al. 2011), whose 128-bit key keeps all 63 bits of the seed apart;
    torch's own generator on the CPU drops all but the lowest 32.
    """
    return _normal(seeds, dim, _PICTURE)


def steps(seeds: Sequence[int], dim: int) -> Tensor:
    """As ``noise``, and independent of it: directions in which pictures vary, so that no seed varies into itself."""
    return _normal(seeds, dim, _STEP)


def draw(seed: int, count: int) -> int:
    """A number in [0, count) that follows from the seed, independent of its noise: e.g. the class of a picture."""
    check_seed(seed)
    return int(_generator(seed, _DRAW).integers(count))


def check_seed(seed: int) -> None:
    """Raise InvalidRequest unless the seed is in [0, MAX_SEED]."""
    if not 0 <= seed <= MAX_SEED:
        raise InvalidRequest(f"A seed must be a whole number from 0 to {MAX_SEED}; got {seed}.")


def _normal(seeds: Sequence[int], dim: int, stream: int) -> Tensor:
    rows = np.empty((len(seeds), dim), dtype=np.float32)
    for row, seed in zip(rows, seeds, strict=True):
        check_seed(seed)
        _generator(seed, stream).standard_normal(dtype=np.float32, out=row)
    return torch.from_numpy(rows)


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream]))
