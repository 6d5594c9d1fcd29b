"""How a learning rate falls over a run."""

import math


def fall(images: int, horizon: int) -> float:
    """1 at the first picture, 0 at the last of `horizon`, by half a cosine; always 1 for a horizon of 0."""
    return (1 + math.cos(math.pi * min(images / horizon, 1))) / 2 if horizon else 1.0
