"""Recipe `classifier`: tells the classes of a data set apart, by a trunk that can begin as the perceptual encoder.

Classes come equally often. Pictures are cut, mirrored and tinted at random, mixed in pairs (mixup: Zhang et al. 2018,
eq. 1) and their labels smoothed (Szegedy et al. 2016, section 7). A trunk that is given is held still at first,
so that what it knows is not washed away by the gradients of a head that knows nothing, and its first blocks all along:
they see edges and colours, and would take a third of a step's time. With a teacher the labels are softened by what a
probe on its features thinks (Hinton et al. 2015, Distilling the knowledge in a neural network).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.evaluation.confusion import accuracies, confusion, confusion_sheet
from studio.models import bounds
from studio.models.classifier import Classifier, ClassifierConfig, trunk_convolutions
from studio.training.data import LabelledBatches, divided
from studio.training.options import TrainOptions
from studio.training.probe import soft_labels
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.schedule import fall
from studio.training.teachers import Vgg16Teacher
from studio.training.tensors import freeze

CHUNK = 32  # held-out pictures judged at once


@dataclass(frozen=True)
class ClassifierTraining:
    """Settings of the training.

    trunk: a checkpoint of kind encoder to begin as (empty: from nothing). frozen: pictures during which a given trunk
    is held still. still: blocks of it that are held to the end. trunk_rate: of the learning rate, that the trunk learns
    by. horizon: pictures over which the learning rate falls to 0, by half a cosine (Loshchilov & Hutter 2017, eq. 5);
    0 keeps it. zoom: least share of a side that is cut out of a picture. crop: px to which the part is scaled, less
    than the model's resolution: parts then look as large as whole pictures do in use (Touvron et al. 2019, FixRes,
    section 3), and a step takes less time. tint: largest change of brightness, contrast
    and saturation. mixup: largest share of another picture that is mixed in, 0 for none. smoothing: of the labels.
    teacher: a file of VGG16 weights (empty: none). teacher_share: of the teacher's opinion in a label.
    held_out: pictures never trained on, by which the run is followed.
    """

    trunk: str = ""
    frozen: int = 8_000
    still: int = 2
    trunk_rate: float = 0.3
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    horizon: int = 50_000
    zoom: float = 0.65
    crop: int = 96
    tint: float = 0.2
    mixup: float = 0.2
    smoothing: float = 0.1
    teacher: str = ""
    teacher_share: float = 0.5
    held_out: int = 512

    def __post_init__(self) -> None:
        for name in ("frozen", "horizon"):
            bounds.whole(name, getattr(self, name), 0, 10**12)
        bounds.whole("still", self.still, 0, 5)
        bounds.whole("held_out", self.held_out, 2, 100_000)
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        bounds.whole("crop", self.crop, 32, 512)
        bounds.real("zoom", self.zoom, 0.1, 1)
        bounds.real("mixup", self.mixup, 0, 0.5)
        bounds.real("weight_decay", self.weight_decay, 0, 10)
        for name, high in (("trunk_rate", 1), ("tint", 0.9), ("smoothing", 0.9), ("teacher_share", 1)):
            bounds.real(name, getattr(self, name), 0, high)


class ClassifierTrainer:
    """The classifier under AdamW (Loshchilov & Hutter 2019), its trunk with a learning rate of its own."""

    def __init__(self, model_config: ClassifierConfig, config: ClassifierTraining, class_count: int) -> None:
        if class_count < 2:
            raise TrainingError(f"A classifier needs pictures of at least 2 classes; got {class_count}.")
        self.config = config
        self.model = Classifier(model_config, class_count).to(memory_format=torch.channels_last)
        begun = begin_trunk(self.model, Path(config.trunk)) if config.trunk else ()
        self.features: tuple[str, ...] = tuple(dict.fromkeys((*begun, *(["vgg16"] if config.teacher else []))))
        self.trunk = list(self.model.trunk.parameters())
        rest = [*self.model.top.parameters(), *self.model.head.parameters()]
        groups = [{"params": self.trunk}, {"params": rest}]
        self.optimiser = torch.optim.AdamW(
            groups, config.learning_rate, (0.9, 0.99), weight_decay=config.weight_decay, foreach=True
        )

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimiser": self.optimiser}

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def step(self, images: Tensor, targets: Tensor, context: StepContext) -> Mapping[str, Tensor]:
        """targets: labels (B,), or shares of the classes (B,K)."""
        config = self.config
        held = 0 if not config.trunk else len(self.model.trunk) if context.images < config.frozen else config.still
        freeze([p for block in self.model.trunk[:held] for p in block.parameters()], True)
        rate = config.learning_rate * fall(context.images, config.horizon)
        for group, part in zip(self.optimiser.param_groups, (config.trunk_rate if config.trunk else 1, 1), strict=True):
            group["lr"] = rate * part
        images = tinted(framed(images, config.zoom, config.crop, context.generator), config.tint, context.generator)
        if targets.dim() == 1:
            targets = F.one_hot(targets, self.model.class_count)
        targets = targets.to(images.dtype)
        images, targets = mixed(images, targets, config.mixup, context.generator)
        maps = self.model.maps(images.contiguous(memory_format=torch.channels_last))
        logits = self.model.judge(maps).float()
        loss = F.cross_entropy(logits, targets, label_smoothing=config.smoothing)
        context.update(loss, self.optimiser)
        freeze(self.trunk, False)
        right = (logits.argmax(dim=1) == targets.argmax(dim=1)).float().mean()
        return {"loss": loss.detach(), "right": right.detach()}

    def finish(self, model: Classifier, data: ImageSet, generator: torch.Generator) -> None:
        """Nothing: the averaged weights are the model."""


def begin_trunk(model: Classifier, path: Path) -> tuple[str, ...]:
    """Copy an encoder's convolutions into the trunk; returns what features its own training used, and its name.

    Raises TrainingError where the file is no encoder of the trunk's widths and depths.
    """
    opened = checkpoint.load(path.expanduser())
    own = trunk_convolutions(model)
    given = [m for m in opened.build_module().modules() if isinstance(m, nn.Conv2d)] if opened.kind == "encoder" else []
    if [conv.weight.shape for conv in own] != [conv.weight.shape for conv in given]:
        raise TrainingError(
            f"{path.name} cannot be the trunk; give a checkpoint of kind encoder with widths "
            f"{', '.join(map(str, model.config.widths))} and depths {', '.join(map(str, model.config.depths))}."
        )
    for mine, theirs in zip(own, given, strict=True):
        mine.load_state_dict(theirs.state_dict())
    used = opened.provenance.get("training_features", ())
    return tuple(dict.fromkeys([*(map(str, used) if isinstance(used, list | tuple) else ()), "encoder"]))


def framed(images: Tensor, zoom: float, crop: int, generator: torch.Generator) -> Tensor:
    """A random part of each picture, its sides `zoom` to 1 of the picture's, each drawn alone, scaled to `crop` px.

    (B,3,S,S) → (B,3,crop,crop).
    """
    count = len(images)
    sides = zoom + (1 - zoom) * torch.rand(count, 2, generator=generator)
    centres = (2 * torch.rand(count, 2, generator=generator) - 1) * (1 - sides)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = sides[:, 0], sides[:, 1], centres
    grid = F.affine_grid(theta, [count, 3, crop, crop], align_corners=False).to(images.device)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def tinted(images: Tensor, tint: float, generator: torch.Generator) -> Tensor:
    """Saturation and contrast times 1 ± tint, brightness plus ± tint, each drawn for a picture. (B,3,S,S) → same."""
    draws = (2 * torch.rand(3, len(images), 1, 1, 1, generator=generator) - 1).to(images.device) * tint
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + draws[0])
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return (middle + (images - middle) * (1 + draws[1]) + draws[2]).clamp(-1, 1)


def mixed(images: Tensor, targets: Tensor, most: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each picture and its target with another's, which has a share of 0 to `most`. (B,3,S,S), (B,K) → same.

    The share is drawn evenly, where the paper draws it from a beta distribution.
    """
    share = torch.rand(len(images), generator=generator).mul(most).to(images.device)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    of_image, of_target = share[:, None, None, None], share[:, None]
    return torch.lerp(images, images[order], of_image), torch.lerp(targets, targets[order], of_target)


class ConfusionSheet:
    """Held-out pictures, judged at every snapshot. images: (N,3,S,S) uint8, labels: (N,)."""

    def __init__(self, images: Tensor, labels: Tensor, classes: tuple[str, ...]) -> None:
        self.images, self.labels, self.classes = images, labels, classes
        self._last: tuple[Tensor, Tensor] | None = None  # a head's weights, and the matrix found with them

    def _matrix(self, model: Classifier) -> Tensor:
        head = model.head.weight.detach()
        if self._last is None or not torch.equal(self._last[0], head):  # they change at every step
            self._last = head.clone(), self._judged(model)
        return self._last[1]

    def _judged(self, model: Classifier) -> Tensor:
        device = next(model.parameters()).device
        chunks = (x.to(device).float().div(127.5).sub(1) for x in self.images.split(CHUNK))
        found = torch.cat([model.probabilities(x).argmax(dim=1).cpu() for x in chunks])
        return confusion(self.labels, found, len(self.classes))

    def draw(self, model: Classifier) -> Image.Image:
        """The confusion matrix."""
        return confusion_sheet(self._matrix(model), self.classes)

    def measure(self, model: Classifier) -> Mapping[str, float]:
        """Accuracy and balanced accuracy on the held-out pictures."""
        return {f"held_out_{name}": value for name, value in accuracies(self._matrix(model)).items()}


def _batches(
    trainer: ClassifierTrainer, conditional: bool, data: ImageSet, options: TrainOptions, device: torch.device
) -> LabelledBatches:
    train, _ = divided(data, trainer.config.held_out)
    kept = data.take(train)
    lost = [name for k, name in enumerate(kept.classes) if not bool((kept.labels == k).any())]
    if lost:
        raise TrainingError(f"Class {lost[0]!r} has too few pictures to hold any out; add some, or lower held_out.")
    targets = _softened(trainer.config, kept, options, device) if trainer.config.teacher else None
    return LabelledBatches(kept, options.batch, conditional, options.flip, device, targets)


def _softened(config: ClassifierTraining, data: ImageSet, options: TrainOptions, device: torch.device) -> Tensor:
    """Labels, with the teacher's share of them by its opinion. → (N,K)."""
    teacher = Vgg16Teacher(Path(config.teacher).expanduser()).to(device)
    opinion = soft_labels(teacher, data, device, options.precision == "bf16", options.logs / "teacher.safetensors")
    labels = F.one_hot(data.labels, len(data.classes)).float()
    return torch.lerp(labels, opinion, config.teacher_share)


def _showcase(trainer: ClassifierTrainer, _conditional: bool, data: ImageSet, _options: TrainOptions) -> ConfusionSheet:
    held_out = data.take(divided(data, trainer.config.held_out)[1])
    return ConfusionSheet(held_out.images, held_out.labels, held_out.classes)


RECIPES.add(
    "classifier",
    Recipe(
        "classifier",
        "classifier",
        ClassifierConfig,
        ClassifierTraining,
        ClassifierTrainer,
        True,
        "compact classifier of the data's classes, the critic",
        batches=_batches,
        showcase=_showcase,
    ),
)
