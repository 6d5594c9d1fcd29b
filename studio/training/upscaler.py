"""Recipe `upscaler`: paintings at twice the size, learned from pairs and from what a generator paints.

Half of a step's pictures are real crops, reduced and a little spoilt: the enlargement shall be the crop again, by its
pixels, by a teacher's maps (Johnson et al. 2016, section 3.2) and by a discriminator of patches (Ledig et al. 2017,
SRGAN, section 2.2; hinge loss). It sees the two finest octaves alone: beside what pictures are of, it would take them
for nothing. The other half are crops of a generator's pictures, of which there are no large ones: they shall please
the discriminator too, and be the small picture again when both are reduced further. So the lattice that a generator
leaves from pixel to pixel may be painted over, as nothing in pictures that were reduced teaches it.
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
from studio.core.images import to_image
from studio.core.kinds import LatentModel
from studio.core.sheet import tile
from studio.models import bounds
from studio.models.losses_gan import hinge_by_heads
from studio.models.projected import PIXEL_CHANNELS, PixelHead
from studio.models.upscaler import FACTOR, Upscaler, UpscalerConfig, bicubic
from studio.training.data import crop_batches, held_out_centres
from studio.training.gan import blur
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.schedule import fall
from studio.training.teachers import Vgg16Teacher
from studio.training.tensors import freeze, sum_of

ROWS = 6  # of the showcase
DEPTH = 3  # of the teacher's blocks that compare
SEEN = 2  # octaves that the discriminator sees, from the finest on
GAIN = 6.0  # of them: they are a sixth as strong as a picture


@dataclass(frozen=True)
class UpscalerTraining:
    """Settings of the training.

    teacher: a file of VGG16 weights (empty: pixels and the discriminator alone judge). painter: a checkpoint of a
    generator whose pictures are enlarged too (empty: none). picture: px to which the pictures are read. crop: px of the
    large crops, a multiple of 4. blurred, noise: largest deviation of the blur, in px of the small picture, and of the
    noise that a real one is spoilt with. pixel_weight, map_weight, adversarial_weight: of the terms. warmup: pictures
    before the discriminator counts. heads: depth of its heads. horizon: pictures over which the rates fall to 0; 0
    keeps them. held_out: pictures never trained on, which the showcase measures.
    """

    teacher: str = ""
    painter: str = ""
    learning_rate: float = 5e-4
    discriminator_learning_rate: float = 4e-4
    picture: int = 224
    crop: int = 96
    blurred: float = 0.8
    noise: float = 0.05
    pixel_weight: float = 1.0
    map_weight: float = 0.5
    adversarial_weight: float = 0.1
    warmup: int = 8_000
    heads: tuple[int, ...] = (3, 4)
    horizon: int = 0
    held_out: int = 64

    def __post_init__(self) -> None:
        for name in ("learning_rate", "discriminator_learning_rate"):
            bounds.real(name, getattr(self, name), 1e-8, 1)
        bounds.whole("picture", self.picture, 32, 1024)
        bounds.whole("crop", self.crop, 16, self.picture)
        if self.crop % (2 * FACTOR):
            raise TrainingError(f"crop must be a multiple of {2 * FACTOR}; got {self.crop}.")
        bounds.real("blurred", self.blurred, 0, min(4.0, self.crop / 8))
        bounds.real("noise", self.noise, 0, 1)
        for name in ("pixel_weight", "map_weight", "adversarial_weight"):
            bounds.real(name, getattr(self, name), 0, 1000)
        for name in ("warmup", "horizon"):
            bounds.whole(name, getattr(self, name), 0, 10**12)
        for depth in self.heads:
            bounds.whole("heads", depth, 2, len(PIXEL_CHANNELS))
        bounds.whole("held_out", self.held_out, ROWS, 1024)


class UpscalerTrainer:
    """The upscaler and the heads of its discriminator, each with Adam, the frozen teacher and the frozen painter."""

    def __init__(self, model_config: UpscalerConfig, config: UpscalerTraining, class_count: int) -> None:
        del class_count
        self.config = config
        self.model = Upscaler(model_config).to(memory_format=torch.channels_last)
        self.heads = nn.ModuleList(PixelHead(depth) for depth in config.heads).to(memory_format=torch.channels_last)
        self.teacher = Vgg16Teacher(Path(config.teacher).expanduser(), DEPTH) if config.teacher else None
        self.painter = read_painter(config.painter, config.crop // FACTOR) if config.painter else None
        self.features: tuple[str, ...] = ("vgg16",) if self.teacher else ()
        self.judging = list(self.heads.parameters())
        self.optimiser = torch.optim.Adam(self.model.parameters(), config.learning_rate, (0.9, 0.99), foreach=True)
        self.judge_optimiser = torch.optim.Adam(
            self.judging, config.discriminator_learning_rate, (0.0, 0.99), foreach=True
        )

    def modules(self) -> dict[str, nn.Module]:
        """Teacher and painter stay out: they come from their files."""
        return {"model": self.model, "heads": self.heads}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimiser": self.optimiser, "discriminator": self.judge_optimiser}

    def to(self, device: torch.device) -> None:
        for module in (self.model, self.heads, self.teacher, self.painter):
            if module is not None:
                module.to(device)

    def step(self, real: Tensor, context: StepContext) -> Mapping[str, Tensor]:
        """real: large crops (B,3,S,S) in [-1,1]."""
        config = self.config
        self._set_rates(fall(context.images, config.horizon))
        real = real.contiguous(memory_format=torch.channels_last)
        small = spoilt(reduced(real), config.blurred, config.noise, context.generator)
        painted = self.painted(len(real), small.shape[-1], context.generator, real.device)
        both = small if painted is None else torch.cat([small, painted])
        large = self.model(both.contiguous(memory_format=torch.channels_last)).float()
        paired = large[: len(real)]
        terms = {"pixel": F.l1_loss(paired, real)}
        if painted is not None:
            terms["kept"] = F.l1_loss(reduced(large[len(real) :], 2), reduced(painted))
        if self.teacher is not None:
            terms["maps"] = self.unlike(paired, real)
        losses = {}
        if context.images >= config.warmup and config.adversarial_weight > 0:
            losses["discriminator"] = hinge_by_heads(self.judge(real), self.judge(large.detach()))
            context.update(losses["discriminator"], self.judge_optimiser)
            freeze(self.judging, True)
            terms["adversarial"] = -sum_of(logits.mean() for logits in self.judge(large))
        weights = {
            "pixel": config.pixel_weight,
            "kept": config.pixel_weight,
            "maps": config.map_weight,
            "adversarial": config.adversarial_weight,
        }
        context.update(sum_of(weights[name] * term for name, term in terms.items()), self.optimiser)
        freeze(self.judging, False)
        return {name: value.detach() for name, value in {**losses, **terms}.items()}

    def _set_rates(self, share: float) -> None:
        rates = (self.config.learning_rate, self.config.discriminator_learning_rate)
        for optimiser, rate in zip((self.optimiser, self.judge_optimiser), rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * share

    def judge(self, x: Tensor) -> list[Tensor]:
        """Logits of each head, on the finest detail of pictures."""
        detail = GAIN * lost(x, SEEN)
        return [head(detail, None, 0.0) for head in self.heads]

    def unlike(self, x: Tensor, wanted: Tensor) -> Tensor:
        """Distance of the teacher's maps, each by its own size."""
        assert self.teacher is not None
        with torch.no_grad():
            theirs = self.teacher(wanted)
        pairs = zip(self.teacher(x), theirs, strict=True)
        return sum_of(F.l1_loss(a.float(), b.float()) / b.float().abs().mean() for a, b in pairs) / DEPTH

    @torch.no_grad()
    def painted(self, count: int, side: int, generator: torch.Generator, device: torch.device) -> Tensor | None:
        """Crops of the painter's pictures, (count,3,side,side) in [-1,1]; two of each."""
        if self.painter is None:
            return None
        pictures = paint(self.painter, -(-count // 2), generator, device)
        corners = torch.randint(pictures.shape[-1] - side + 1, (count, 2), generator=generator).tolist()
        return torch.stack([pictures[k // 2, :, y : y + side, x : x + side] for k, (y, x) in enumerate(corners)])

    def finish(self, model: nn.Module, data: ImageSet, generator: torch.Generator) -> None:
        """Nothing to prepare."""


def read_painter(path: str, side: int) -> LatentModel:
    """A generator for inference, frozen. Raises TrainingError where its pictures are smaller than `side` px."""
    painter = checkpoint.load(Path(path).expanduser()).build().requires_grad_(False)
    if painter.resolution < side:
        raise TrainingError(
            f"{Path(path).name} paints at {painter.resolution} px, and crops of {side} px are enlarged; lower crop."
        )
    return painter.to(memory_format=torch.channels_last)


@torch.no_grad()
def paint(painter: LatentModel, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Pictures of random seeds and classes, (count,3,R,R) in [-1,1]."""
    z = torch.randn(count, painter.latent_dim, generator=generator).to(device)
    weights = None
    if painter.class_count:
        labels = torch.randint(painter.class_count, (count,), generator=generator)
        weights = F.one_hot(labels, painter.class_count).float().to(device)
    return painter(z, weights).float()


def reduced(x: Tensor, octaves: int = 1) -> Tensor:
    """Half the size for each octave, antialiased. (B,3,H,W) → (B,3,H/2,W/2) in [-1,1]."""
    scale = 1 / FACTOR**octaves
    small = F.interpolate(x.float(), scale_factor=scale, mode="bicubic", antialias=True, align_corners=False)
    return small.clamp(-1, 1)


def spoilt(small: Tensor, blurred: float, noise: float, generator: torch.Generator) -> Tensor:
    """Small pictures as they come: half of them as they are, the rest blurred and with noise, as much as is drawn."""
    half = len(small) // 2
    sigma, level = (float(torch.rand((), generator=generator)) * most for most in (blurred, noise))
    worse = blur(small[half:], sigma)
    worse = worse + level * torch.randn(worse.shape, generator=generator).to(worse.device)
    return torch.cat([small[:half], worse.clamp(-1, 1)])


class EnlargementSheet:
    """Held-out crops: reduced and enlarged again without the model, with it, and as they are; then painted pictures."""

    def __init__(self, trainer: UpscalerTrainer, images: Tensor) -> None:
        self.images = images
        self.painted: Tensor | None = None
        if trainer.painter is not None:
            self.painted = paint(trainer.painter, ROWS, torch.Generator().manual_seed(0), torch.device("cpu"))

    @torch.no_grad()
    def _enlarged(self, model: Upscaler, small: Tensor) -> Tensor:
        device = next(model.parameters()).device
        return torch.cat([model(x.to(device)).float().cpu() for x in small.split(1)])

    def draw(self, model: Upscaler) -> Image.Image:
        """A row a picture."""
        wanted = self.images[:ROWS]
        small = reduced(wanted)
        columns = [bicubic(small), self._enlarged(model, small), wanted]
        if self.painted is not None:
            side = small.shape[-1]
            part = self.painted[..., -side:, :side]
            columns += [bicubic(part), self._enlarged(model, part)]
        return tile([to_image(x.clamp(-1, 1)) for row in zip(*columns, strict=True) for x in row], len(columns))

    def measure(self, model: Upscaler) -> Mapping[str, float]:
        """Mean absolute error over that of the bicubic enlargement, and contrast of the finest detail over the real."""
        small = reduced(self.images)
        mine, plain = self._enlarged(model, small).clamp(-1, 1), bicubic(small).clamp(-1, 1)
        error, before = (float((x - self.images).abs().mean()) for x in (mine, plain))
        return {"held_out_error": error / before, "held_out_detail": detail(mine) / detail(self.images)}


def lost(x: Tensor, octaves: int = 1) -> Tensor:
    """What halving the size loses, once for each octave. (B,3,H,W) → same."""
    rest = reduced(x, octaves)
    for _ in range(octaves):
        rest = bicubic(rest)
    return x - rest


def detail(x: Tensor) -> float:
    """The mean square of what halving the size loses."""
    return float(lost(x).square().mean())


def _showcase(trainer: UpscalerTrainer, _conditional: bool, data: ImageSet, _options: TrainOptions) -> EnlargementSheet:
    return EnlargementSheet(trainer, held_out_centres(trainer.config, data))


RECIPES.add(
    "upscaler",
    Recipe(
        "upscaler",
        "upscaler",
        UpscalerConfig,
        UpscalerTraining,
        UpscalerTrainer,
        False,
        "paintings at twice the size, from pairs and a generator's own pictures",
        side=lambda _model, trainer: int(trainer.picture),
        batches=crop_batches,
        showcase=_showcase,
    ),
)
