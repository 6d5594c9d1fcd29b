"""Recipe `encoder`: a compact perceptual network distilled from VGG16, and cheaply from VGG-19 compressed 16 times.

Feature regression through 1x1 adapters onto channel-normalised maps (Romero et al. 2015, FitNets, section 2.2), and
relations: over all pairs of a batch the Gram distances and the content distances should be ordered as the teacher
orders them (Park et al. 2019, Relational knowledge distillation, section 3.1, with correlation for the loss). The
relations bind the maps themselves and not the adapters, which are thrown away. With `metric` the maps are fitted to
VGG16's once more at the end, for refinements (`metric.py`).

The encoder may begin as a copy of the compressed VGG-19 and learn the relations from there. What a refinement lives on
is not only how well an encoder ranks pictures but where its gradients lead, and in a network that was trained for long
to be painted from they lead to better pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.evaluation.agreement import agreement, content_distances, gram_distances, pairs, pearson, signature_of
from studio.models import bounds
from studio.models.blocks import fold_batch_norm_
from studio.style.encoder import EncoderConfig, Layer, StyleEncoder
from studio.training.data import crop_batches, crops, divided, held_out_centres
from studio.training.metric import fitted_metric
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.teachers import CD16_CONFIG, Cd16Teacher, Vgg16Teacher
from studio.training.tensors import sum_of

FINISH_IMAGES, FINISH_BATCH = 96, 12  # pictures that the published statistics are measured on, and how many at once
NEIGHBOURS = 4  # pictures that a showcase row shows for each network
QUERIES = 6  # rows of the showcase
THINNING = (4, 4, 2, 1, 1)  # of the positions of each map, on each side: neighbours there say nearly the same


@dataclass(frozen=True)
class EncoderTraining:
    """Settings of the distillation.

    teacher: a file of VGG16 weights (empty: STUDIO_VGG16, else torchvision's). light_teacher: a file of the compressed
    VGG-19 (empty: VGG16 alone). from_light: begin as a copy of it, without batch norm. heavy_every: steps from one with
    VGG16 to the next; the others see the light teacher. picture: px to which the pictures are read. crop: px. held_out:
    pictures never trained on, by which agreement is measured. feature_weight, relation_weight: of the two terms.
    """

    teacher: str = ""
    light_teacher: str = ""
    from_light: bool = False
    heavy_every: int = 2
    learning_rate: float = 2e-3
    picture: int = 192
    crop: int = 112
    held_out: int = 96
    feature_weight: float = 1.0
    relation_weight: float = 1.0

    def __post_init__(self) -> None:
        bounds.whole("heavy_every", self.heavy_every, 1, 1000)
        bounds.whole("picture", self.picture, 32, 1024)
        bounds.whole("crop", self.crop, 32, self.picture)
        bounds.whole("held_out", self.held_out, 8, 1024)
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        for name in ("feature_weight", "relation_weight"):
            bounds.real(name, getattr(self, name), 0, 1000)


class Adapters(nn.Module):
    """From each map of the student to the teacher's channels. Maps (B,C_l,…) → (B,T_l,…)."""

    def __init__(self, widths: Sequence[int], targets: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(widths, targets, strict=True))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [layer(x) for layer, x in zip(self.layers, maps, strict=True)]


class EncoderTrainer:
    """The student, an adapter for each teacher, and Adam on all of them."""

    features: tuple[str, ...] = ("vgg16",)

    def __init__(self, model_config: EncoderConfig, config: EncoderTraining, class_count: int) -> None:
        del class_count
        self.config = config
        self.teacher = Vgg16Teacher(Path(config.teacher).expanduser() if config.teacher else None)
        self.light = Cd16Teacher(Path(config.light_teacher).expanduser()) if config.light_teacher else None
        if config.from_light and (self.light is None or model_config != CD16_CONFIG):
            raise TrainingError(
                "from_light needs light_teacher=FILE, and the widths and depths of that network: "
                f"{', '.join(map(str, CD16_CONFIG.widths))} and {', '.join(map(str, CD16_CONFIG.depths))}."
            )
        model = self.light.student() if self.light and config.from_light else normalised(StyleEncoder(model_config))
        self.model = model.to(memory_format=torch.channels_last)
        self.heavy_adapters = Adapters(model_config.widths, Vgg16Teacher.widths)
        self.light_adapters = Adapters(model_config.widths, Cd16Teacher.widths)
        parameters = [p for module in self.modules().values() for p in module.parameters()]
        self.optimiser = torch.optim.Adam(parameters, config.learning_rate, (0.9, 0.99), foreach=True)

    def modules(self) -> dict[str, nn.Module]:
        """The teachers stay out: they come from their files."""
        return {"model": self.model, "heavy_adapters": self.heavy_adapters, "light_adapters": self.light_adapters}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimiser": self.optimiser}

    def to(self, device: torch.device) -> None:
        for module in (*self.modules().values(), self.teacher, *([self.light] if self.light else [])):
            module.to(device)

    def step(self, images: Tensor, context: StepContext) -> Mapping[str, Tensor]:
        images = images.contiguous(memory_format=torch.channels_last)
        heavy = self.light is None or context.images // len(images) % self.config.heavy_every == 0
        teacher: Callable[[Tensor], list[Tensor]] = self.teacher if heavy or self.light is None else self.light
        adapters = self.heavy_adapters if heavy else self.light_adapters
        with torch.no_grad():
            wanted = teacher(images)
        maps = self.model(images)
        few, few_wanted = thinned(maps), thinned(wanted)
        guesses = zip(adapters(few), few_wanted, strict=True)
        features = sum_of(F.mse_loss(guess, channel_normalised(target)) for guess, target in guesses)
        relations = sum_of(
            1 - relation(distance, mine, theirs)
            for distance, ours, targets in ((gram_distances, maps, wanted), (content_distances, few, few_wanted))
            for mine, theirs in zip(ours, targets, strict=True)
        )
        loss = self.config.feature_weight * features + self.config.relation_weight * relations
        context.update(loss, self.optimiser)
        name = "heavy" if heavy else "light"
        return {f"features_{name}": features.detach() / len(maps), f"relations_{name}": relations.detach() / len(maps)}

    def finish(self, model: StyleEncoder, data: ImageSet, generator: torch.Generator) -> None:
        """Statistics of the averaged weights, folded into the convolutions; every map to a root mean square of one."""
        train, _ = divided(data, self.config.held_out)
        side, device = self.config.crop, next(model.parameters()).device
        pictures = crops(data.images[train], FINISH_IMAGES, side, generator).to(device)
        model.to(memory_format=torch.channels_last)
        fold(model, pictures)
        balance(model, pictures)
        if model.config.metric:
            for index, root in enumerate(fitted_metric(model, self.teacher, pictures, FINISH_BATCH)):
                model.get_buffer(f"metric{index}").copy_(root)


def normalised(model: StyleEncoder) -> StyleEncoder:
    """With batch norm in every layer, in place: a plain network of this depth learns several times more slowly."""
    for layer in model.modules():
        if isinstance(layer, Layer):
            layer.norm = nn.BatchNorm2d(layer.conv.out_channels)
    return model


@torch.no_grad()
def fold(model: StyleEncoder, pictures: Tensor) -> None:
    """Take the batch norms, with statistics measured on pictures (N,3,S,S), into the convolutions, in place."""
    layers = [layer for layer in model.modules() if isinstance(layer, Layer)]
    norms = [layer.norm for layer in layers if isinstance(layer.norm, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
        norm.train()
    for batch in pictures.split(FINISH_BATCH):
        model(batch)
    model.eval()
    for layer in layers:
        if isinstance(layer.norm, nn.BatchNorm2d):
            fold_batch_norm_(layer.conv, layer.norm)
            layer.norm = nn.Identity()


@torch.no_grad()
def balance(model: StyleEncoder, pictures: Tensor) -> None:
    """Scale every map to a root mean square of one over pictures (N,3,S,S), in place (Gatys et al. 2016, section 2,
    there for each filter). What a layer loses the next one regains: the network's function only changes by factors.
    """
    batches = pictures.split(FINISH_BATCH)
    squares = torch.stack([torch.stack([x.square().mean() for x in model(batch)]) for batch in batches])
    scales = squares.mean(dim=0).sqrt().clamp_min(1e-6)
    before = torch.ones_like(scales[0])
    for block, scale in zip(model.blocks, scales, strict=True):
        convs = [layer.conv for layer in block.modules() if isinstance(layer, Layer)]
        convs[0].weight.mul_(before)
        for parameter in convs[-1].parameters():
            parameter.div_(scale)
        before = scale


def thinned(maps: Sequence[Tensor]) -> list[Tensor]:
    """Every few positions of the larger maps, which would take half of a step's time otherwise."""
    return [x[:, :, step // 2 :: step, step // 2 :: step] for x, step in zip(maps, THINNING, strict=True)]


def channel_normalised(maps: Tensor) -> Tensor:
    """Every channel to mean 0 and deviation 1 over the batch and its positions. (B,C,H,W) → same."""
    mean = maps.mean(dim=(0, 2, 3), keepdim=True)
    return (maps - mean) / (maps.std(dim=(0, 2, 3), keepdim=True) + 1e-3)


def relation(distance: Callable[[Tensor], Tensor], mine: Tensor, theirs: Tensor) -> Tensor:
    """Correlation over all pairs of a batch of a distance in two networks' maps."""
    with torch.no_grad():
        wanted = pairs(distance(theirs))
    return pearson(pairs(distance(mine)), wanted)


class AgreementSheet:
    """Held-out pictures and, for some of them, the nearest others by Gram distance: the teacher's, then the model's."""

    def __init__(self, teacher: nn.Module, images: Tensor) -> None:
        self.images, self.teacher = images, teacher
        self.wanted: dict[str, Tensor] | None = None  # measured at the first snapshot

    def _found(self, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        images = self.images.to(next(model.parameters()).device)
        if self.wanted is None:
            self.wanted = {name: x.cpu() for name, x in signature_of(self.teacher, images).items()}
        return {name: x.cpu() for name, x in signature_of(model, images).items()}, self.wanted

    def draw(self, model: nn.Module) -> Image.Image:
        """Rows: a picture, its neighbours by VGG16, its neighbours by the model."""
        found, wanted = self._found(model)
        shown: list[int] = []
        for query in range(min(QUERIES, len(self.images))):
            shown.append(query)
            for distances in (wanted["gram"], found["gram"]):
                shown += distances[query].argsort().tolist()[1 : NEIGHBOURS + 1]
        return tile([to_image(self.images[i]) for i in shown], 1 + 2 * min(NEIGHBOURS, len(self.images) - 1))

    def measure(self, model: nn.Module) -> Mapping[str, float]:
        """Rank correlations with the teacher over all pairs of held-out pictures."""
        return agreement(*self._found(model))


def _showcase(trainer: EncoderTrainer, _conditional: bool, data: ImageSet, _options: TrainOptions) -> AgreementSheet:
    return AgreementSheet(trainer.teacher, held_out_centres(trainer.config, data))


RECIPES.add(
    "encoder",
    Recipe(
        "encoder",
        "encoder",
        EncoderConfig,
        EncoderTraining,
        EncoderTrainer,
        False,
        "compact perceptual encoder, distilled from VGG16",
        side=lambda _model, trainer: int(trainer.picture),
        batches=crop_batches,
        showcase=_showcase,
    ),
)
