"""At what sizes pictures are read and judged while the stylizer learns, or a code practises.

The stylizer reads pictures at less than the size at which they are painted, so that codes cost little; a judge takes a
step back, and the encoder looks at the finest detail close by.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

SIGHT = (
    0.75  # size at which the judge sees a picture, over that of the picture; codes are read at READ to as much of it
)
READ = 0.5
LOOK = (READ + SIGHT) / 2  # what they are read at in the middle
STYLE_LAYERS = slice(0, 4)
CONTENT_LAYERS = slice(2, 4)  # strides 4 and 8
SECOND_DEPTH = 3  # maps of EfficientNet-Lite0: strides 4, 8 and 16
FINE_DEPTH = 3  # maps that watch over the finest detail

View = tuple[Tensor, ...]  # a picture, then maps of it, from the finest on
Views = Callable[[Tensor], tuple[View, ...]]  # the picture from a step back, close by, and to a second judge


def reduced(x: Tensor, factor: float = SIGHT) -> Tensor:
    """Pictures at the size at which they are judged. (B,3,H,W) → (B,3,h,w)."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)


def content_of(view: View) -> View:
    """The maps of a view from a step back by which contents are compared."""
    return view[1:][CONTENT_LAYERS]
