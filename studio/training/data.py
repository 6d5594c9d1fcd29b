"""Batches from pictures in memory, balanced over the classes."""

import torch
from torch import Tensor

from studio.core.dataset import ImageSet


class Batches:
    """Draws batches from an ImageSet held on the device.

    Classes take turns, so that a rare class is seen as often as a frequent one; within a class pictures are drawn with
    replacement. Every draw comes from the generator given, so that a resumed run sees the same batches.
    """

    def __init__(self, data: ImageSet, batch: int, conditional: bool, flip: bool, device: torch.device) -> None:
        self.images = data.images.to(device)
        self.batch, self.flip, self.device = batch, flip, device
        self.members: list[Tensor] = []
        if conditional:
            self.members = [torch.nonzero(data.labels == k)[:, 0] for k in range(len(data.classes))]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Pictures (B,3,S,S) in [-1,1] and labels (B,), or None where there are no classes."""
        labels = None
        if self.members:
            labels = balanced_labels(self.batch, len(self.members), generator)
            picks = torch.rand(self.batch, generator=generator)
            index = torch.stack(
                [self.members[k][int(pick * len(self.members[k]))] for k, pick in zip(labels, picks, strict=True)]
            )
        else:
            index = torch.randint(len(self.images), (self.batch,), generator=generator)
        images = self.images[index.to(self.device)].float().div(127.5).sub(1)
        if self.flip:
            mirrored = (torch.rand(self.batch, 1, 1, 1, generator=generator) < 0.5).to(self.device)
            images = torch.where(mirrored, images.flip(3), images)
        return images, None if labels is None else labels.to(self.device)


def balanced_labels(batch: int, class_count: int, generator: torch.Generator) -> Tensor:
    """(B,) labels in which every class comes equally often, as far as they divide; which ones come more is drawn.

    Where B is even, row i and row i + B/2 have the same class, so that pairs within a class can be compared.
    """
    half = -(-batch // 2)
    order = torch.randperm(class_count, generator=generator)
    return order.repeat(-(-half // class_count))[:half].repeat(2)[:batch]
