"""A loaded model that paints: from lineage to w to pixels, the same bits every time and in any company."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from studio.core.images import to_uint8
from studio.core.kinds import LatentModel
from studio.core.video import Frame
from studio.engine.brush import Brush
from studio.engine.device import Precision
from studio.engine.lineage import Step, origin
from studio.engine.own import Owner, mixed_rows
from studio.engine.requests import Mix, Moved, Own, Picture, Variation
from studio.latent.truncation import class_mean, truncate


class Painter:
    """Call its methods on a worker of the device only: with several threads of torch the last bits would change."""

    def __init__(self, model: LatentModel, classes: Sequence[str], precision: Precision) -> None:
        self.device = precision.device
        self.classes = classes
        self.model = _ready(model, self.device)
        precision.probe(self.model)
        self.precision = precision
        self._brush = Brush(self.model, precision)
        self.bytes = _bytes(self.model) + self._brush.bytes
        self.owner = Owner(self.model, classes)

    def pictures(self, pictures: Sequence[Picture], psi: float) -> list[Frame]:
        """Settled pictures → the pixels (R,R,3) of each."""
        return self.paint([self.style(picture, psi) for picture in pictures])

    def style(self, picture: Picture, psi: float) -> Tensor:
        """A settled picture → its truncated w (1,L,W) on the CPU; (1,L+D,W) where it has details."""
        return self._style(picture, psi, ())

    def _style(self, picture: Picture, psi: float, later: tuple[Step, ...]) -> Tensor:
        """later: variations around the picture; those around a mix move both of its pictures by the same step."""
        if isinstance(picture, Variation):
            return self._style(picture.of, psi, ((picture.radius, picture.seed), *later))
        if isinstance(picture, Mix):
            first, second = (self._style(part, psi, later) for part in picture.mix)
            return mixed_rows(first, second, picture.groups, self.model.layers)
        if isinstance(picture, Moved):
            return self.owner.moved(self._style(picture.moved, psi, later), picture)
        if isinstance(picture, Own):
            return self.owner.rows(picture, later, lambda z, weights: self.map(z, weights, psi))
        return self.map(*origin(picture, self.model.latent_dim, self.classes, later), psi)

    @torch.inference_mode()
    def map(self, z: Tensor, weights: Tensor | None, psi: float) -> Tensor:
        """z (1,Z), weights (1,K) or None → w (1,L,W) on the CPU, truncated towards the mean of its classes."""
        z = z.to(self.device)
        weights = None if weights is None else weights.to(self.device)
        w = self.model.mapping(z, weights)
        return truncate(w, class_mean(self.model.w_mean, weights), psi).cpu()

    def paint(self, rows: Sequence[Tensor]) -> list[Frame]:
        """w (1,L,W), or (1,L+D,W) with details, of each picture → the pixels (R,R,3) of each."""
        groups = itertools.groupby(rows, key=lambda w: w.shape)  # with and without details
        return [frame for _, some in groups for frame in to_uint8(self._brush(torch.cat(list(some)).to(self.device)))]


def _ready(model: LatentModel, device: torch.device) -> LatentModel:
    """For inference, in place: folded, without gradients, in the memory format that convolutions like."""
    model.eval().requires_grad_(False).to(device)
    model.to(memory_format=torch.channels_last)
    model.optimise_()
    return model


def _bytes(model: LatentModel) -> int:
    """Memory that a model's tensors take, those that optimise_ has made among them."""
    tensors = [*model.parameters(), *model.buffers()]
    for module in model.modules():
        tensors += [value for value in vars(module).values() if isinstance(value, Tensor)]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())
