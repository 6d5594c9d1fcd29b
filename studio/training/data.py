"""Batches from pictures in memory, balanced over the classes, or cut from them."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.training.options import TrainOptions

ROLES = ("content", "style")  # the two classes of a data set for style transfer


class LabelledBatches:
    """Draws batches from an ImageSet held on the device.

    Classes take turns, so that a rare class is seen as often as a frequent one; within a class pictures are drawn with
    replacement. Every draw comes from the generator given, so that a resumed run sees the same batches.
    targets: (N,K), what is drawn of each picture in place of its label.
    """

    def __init__(
        self,
        data: ImageSet,
        batch: int,
        conditional: bool,
        flip: bool,
        device: torch.device,
        targets: Tensor | None = None,
    ) -> None:
        self.images = data.images.to(device)
        self.targets = None if targets is None else targets.to(device)
        self.batch, self.flip, self.device = batch, flip, device
        self.members: list[Tensor] = []
        if conditional:
            self.members = [torch.nonzero(data.labels == k)[:, 0] for k in range(len(data.classes))]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Pictures (B,3,S,S) in [-1,1] and labels (B,), or targets (B,K), or None where there are no classes."""
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
        if self.targets is not None:
            return images, self.targets[index.to(self.device)]
        return images, None if labels is None else labels.to(self.device)


def labelled_batches(
    trainer: Any,  # noqa: ARG001 - one signature for all recipes
    conditional: bool,
    data: ImageSet,
    options: TrainOptions,
    device: torch.device,
) -> LabelledBatches:
    """What generators are trained on: pictures and, where the recipe uses them, their classes."""
    return LabelledBatches(data, options.batch, conditional, options.flip, device)


def content_and_style(content: ImageSet, style: ImageSet) -> ImageSet:
    """One data set of two, told apart by the classes "content" and "style"."""
    labels = torch.tensor([0] * len(content) + [1] * len(style))
    images = torch.cat([content.images, style.images])
    return ImageSet(images, labels, ROLES, content.files + style.files, content.skipped + style.skipped)


def by_role(data: ImageSet) -> tuple[Tensor, Tensor]:
    """Indices of the content and of the style pictures. Raises TrainingError where the data have no such classes."""
    if not set(ROLES) <= set(data.classes):
        raise TrainingError(
            "This recipe needs photographs and paintings: give the paintings by --styles, or a folder with the "
            "subfolders content and style."
        )
    content, style = (torch.nonzero(data.labels == data.classes.index(role))[:, 0] for role in ROLES)
    return content, style


def divided(data: ImageSet, held_out: int) -> tuple[Tensor, Tensor]:
    """Indices to train on and indices held out, the same for every run. Raises TrainingError for too few pictures."""
    if len(data) < 2 * held_out:
        raise TrainingError(
            f"With {held_out} pictures held out at least {2 * held_out} are needed, and there are {len(data)}; "
            "give more, or lower held_out."
        )
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return order[held_out:], order[:held_out]


@dataclass(frozen=True)
class Crops:
    """Batches of random crops of every picture but those held out. pictures: (N,3,S,S) uint8."""

    pictures: Tensor
    batch: int
    side: int
    flip: bool
    device: torch.device

    def draw(self, generator: torch.Generator) -> tuple[Tensor]:
        return (crops(self.pictures, self.batch, self.side, generator, self.flip).to(self.device),)


def crop_batches(
    trainer: Any,
    conditional: bool,  # noqa: ARG001 - one signature for all recipes
    data: ImageSet,
    options: TrainOptions,
    device: torch.device,
) -> Crops:
    """What a recipe of crops is fed, by its settings `crop` and `held_out`."""
    train, _ = divided(data, trainer.config.held_out)
    return Crops(data.images[train], options.batch, trainer.config.crop, options.flip, device)


def held_out_centres(config: Any, data: ImageSet) -> Tensor:
    """The middle of every picture that such a recipe holds out, as large as its crops. → (N,3,S,S) in [-1,1]."""
    _, held_out = divided(data, config.held_out)
    side, edge = config.crop, (config.picture - config.crop) // 2
    return data.images[held_out, :, edge : edge + side, edge : edge + side].float().div(127.5).sub(1)


def crops(
    pictures: Tensor,
    count: int,
    side: int,
    generator: torch.Generator,
    flip: bool = True,
    zoom: float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Squares cut at random from random pictures. (N,3,S,S) uint8, S ≥ side → (B,3,side,side) in [-1,1].

    zoom: each is enlarged by 1 to so much. weights: (N,), how often each picture is taken; None for equally often.
    """
    if weights is None:
        index = torch.randint(len(pictures), (count,), generator=generator)
    else:
        index = torch.multinomial(weights, count, replacement=True, generator=generator)
    sides = torch.full((count,), float(side))
    if zoom > 1:
        sides = side / torch.empty(count).uniform_(1, zoom, generator=generator)
    corners = torch.rand(count, 2, generator=generator)
    mirrored = (torch.rand(count, generator=generator) < 0.5) & flip
    whole = pictures[index.to(pictures.device)]
    if zoom > 1:
        cut = windows(whole.float(), side, corners * (whole.shape[-1] - sides)[:, None], sides)
    else:
        places = (corners * (whole.shape[-1] - side + 1)).int().tolist()
        cut = torch.stack([x[:, j : j + side, i : i + side] for x, (j, i) in zip(whole, places, strict=True)]).float()
    cut = torch.where(mirrored.to(cut.device)[:, None, None, None], cut.flip(3), cut)
    return cut.clamp(0, 255).div(127.5).sub(1)


def windows(pictures: Tensor, side: int, corners: Tensor, sides: Tensor) -> Tensor:
    """Squares of pictures (B,3,S,S) enlarged to (B,3,side,side), bicubic: their upper left corners (B,2), down and
    across, and their sides (B,), in px and fractions of them."""
    size = pictures.shape[-1]
    middle = (2 * corners + sides[:, None]) / size - 1
    ratio = sides / size
    still = torch.zeros_like(ratio)
    rows = torch.stack([ratio, still, middle[:, 1], still, ratio, middle[:, 0]], dim=1).unflatten(1, (2, 3))
    grid = F.affine_grid(rows.to(pictures), [len(pictures), 3, side, side], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bicubic", padding_mode="border", align_corners=False)


def balanced_labels(batch: int, class_count: int, generator: torch.Generator) -> Tensor:
    """(B,) labels in which every class comes equally often, as far as they divide; which ones come more is drawn.

    Where B is even, row i and row i + B/2 have the same class, so that pairs within a class can be compared.
    """
    half = -(-batch // 2)
    order = torch.randperm(class_count, generator=generator)
    return order.repeat(-(-half // class_count))[:half].repeat(2)[:batch]
