"""Recipe `stylizer`: arbitrary style transfer in one pass, judged by VGG16's maps and others.

Content and style weights are drawn for every picture and told to the network (Babaeizadeh & Ghiasi 2018, Adjustable
real-time style transfer), so that sliders act without optimising. A style equal to the content needs no loss: by
construction it gives the content back.

The compact encoder alone is too easy a judge: the stylizer learns to please it with patterns that no other network
takes for the style. With `teacher` VGG16 judges, on pictures reduced to the size at which codes are read, and the
encoder watches over the finest detail at full size. With `second_weight` EfficientNet-Lite0 judges beside it, so that
one network's tricks do not pay.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.models.lite0 import Lite0Features
from studio.style import losses
from studio.style.encoder import StyleEncoder, statistics_of
from studio.style.losses import Hand
from studio.style.sight import (
    CONTENT_LAYERS,
    FINE_DEPTH,
    READ,
    SECOND_DEPTH,
    SIGHT,
    STYLE_LAYERS,
    View,
    content_of,
    reduced,
)
from studio.style.stylizer import Stylizer, StylizerConfig
from studio.training.data import by_role
from studio.training.options import TrainOptions
from studio.training.pairs import Pairs, unlikeness
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.schedule import fall
from studio.training.stylizer_settings import StylizerTraining
from studio.training.teachers import Vgg16Teacher

MEASURED_IMAGES = 2_000  # pictures from which the scale of the statistics is measured, at the start
ROWS, COLUMNS = 6, 7  # of the showcase: contents, styles


def read_encoder(path: str) -> StyleEncoder:
    """The encoder of a checkpoint, frozen. Raises TrainingError where none is given or the file holds no encoder."""
    if not path:
        raise TrainingError("The stylizer is trained by an encoder; name one with --config encoder=FILE.")
    encoder = checkpoint.load(Path(path).expanduser()).build_module()
    if not isinstance(encoder, StyleEncoder):
        raise TrainingError(f"{Path(path).name} holds no encoder; train one with `studio train encoder`.")
    return encoder.requires_grad_(False).to(memory_format=torch.channels_last)


class StylizerTrainer:
    """The stylizer, the frozen judges, and the optimisers."""

    def __init__(self, model_config: StylizerConfig, config: StylizerTraining, class_count: int) -> None:
        del class_count
        self.config = config
        self.encoder = read_encoder(config.encoder)
        self.teacher: Vgg16Teacher | None = None
        if config.teacher:
            self.teacher = Vgg16Teacher(Path(config.teacher).expanduser(), depth=STYLE_LAYERS.stop)
        self.second = Lite0Features(SECOND_DEPTH) if config.second_weight else None
        judges = {"encoder": self.encoder, "vgg16": self.teacher, "lite0": self.second}
        self.features: tuple[str, ...] = tuple(name for name, judge in judges.items() if judge is not None)
        if self.encoder.widths != model_config.widths:
            raise TrainingError(
                f"The encoder has the widths {self.encoder.widths} and the stylizer expects {model_config.widths}; "
                "set widths to the encoder's."
            )
        self.model: Stylizer = Stylizer(model_config).to(memory_format=torch.channels_last)
        parameters = list(self.model.parameters())
        matrices = [p for p in parameters if config.muon and p.dim() == 2]
        others = [p for p in parameters if not (config.muon and p.dim() == 2)]
        self._optimisers: dict[str, torch.optim.Optimizer] = {
            "optimiser": torch.optim.Adam(others, config.learning_rate, (0.9, 0.99), foreach=True)
        }
        if matrices:
            self._optimisers["muon"] = torch.optim.Muon(
                matrices, config.learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
            )

    def modules(self) -> dict[str, nn.Module]:
        """The judges stay out: they come from their files."""
        return {"model": self.model}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return self._optimisers

    def to(self, device: torch.device) -> None:
        for module in (self.model, self.encoder, self.teacher, self.second):
            if module is not None:
                module.to(device)

    def step(self, contents: Tensor, styles: Tensor, context: StepContext) -> Mapping[str, Tensor]:
        config, generator = self.config, context.generator
        for optimiser in self._optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * fall(context.images, config.horizon)
        contents, styles = (x.contiguous(memory_format=torch.channels_last) for x in (contents, styles))
        sight = READ + (SIGHT - READ) * float(torch.rand((), generator=generator))
        if context.images < MEASURED_IMAGES:
            with torch.no_grad():
                read = [statistics_of(self.read(x, sight)) for x in (contents, styles)]
            measure(self.model, torch.cat(read), context.images)
        loss, terms = self.loss(contents, styles, sight, generator)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in self._optimisers.values():
            context.descend(optimiser)
        return {"loss": loss.detach(), **terms}

    def loss(
        self, contents: Tensor, styles: Tensor, sight: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Every content painted in `styles_each` of the styles: the loss, and the means of its terms, detached.

        contents, styles: (B,3,S,S) in [-1,1]. sight: size at which codes are read, over the pictures' own. generator:
        of the device or of the CPU; of the device, nothing here waits for the CPU.
        """
        index = torch.arange(len(contents), device=contents.device)
        shifts = range(min(self.config.styles_each, len(styles)))
        first = index.repeat(len(shifts))
        second = torch.cat([index.roll(shift) for shift in shifts])
        with torch.no_grad():
            content_maps, style_maps = (self.read(x, sight) for x in (contents, styles))
            seen = self.seen(contents)
            wanted = [x[first] for x in content_of(seen[0])]
            details = [tuple(x[first] for x in view) for view in seen] if self.config.detail_weight else []
            hands = [Hand.of(view, generator).rows(second) for view in self.views(styles)]
        weight = torch.rand(len(first), generator=generator, device=generator.device).to(contents.device)
        code, own = self.model.code(style_maps, styles)[second], self.model.code(content_maps, contents)[first]
        maps = [x[first] for x in content_maps[1:]]
        painted = self.model(contents[first], code, own, weight, maps=maps).float()
        terms = losses.terms(painted, self.views(painted), wanted, hands, generator, details)
        loss = losses.weighed(terms, self.config.weights.at(weight))
        return loss, {name: term.detach().mean() for name, term in terms.items()}

    def read(self, x: Tensor, sight: float = SIGHT) -> tuple[Tensor, ...]:
        """A picture and its maps as codes are read from them."""
        small = reduced(x, sight)
        return (small, *self.encoder(small))

    def judge(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps of reduced pictures."""
        network = self.encoder if self.teacher is None else self.teacher
        return tuple(network(x))

    def seen(self, x: Tensor) -> tuple[View, ...]:
        """The picture and its maps as the judges see it from a step back."""
        small = reduced(x)
        first = (small, *self.judge(small)[STYLE_LAYERS])
        return (first,) if self.second is None else (first, (small, *self.second(small)))

    def views(self, x: Tensor) -> tuple[View, ...]:
        """That, and as the encoder sees it close by."""
        first, *others = self.seen(x)
        return first, (x, *self.encoder(x, FINE_DEPTH)), *others

    def finish(self, model: nn.Module, data: ImageSet, generator: torch.Generator) -> None:
        """Nothing to prepare."""


@torch.no_grad()
def measure(model: Stylizer, statistics: Tensor, images: int) -> None:
    """Take a batch of statistics (N,S) into the running mean and deviation that the codes are made relative to.

    images: seen before. The share of a batch falls as one over the count of batches.
    """
    share = len(statistics) / (2 * images + len(statistics))
    model.centre.lerp_(statistics.mean(dim=0), share)
    deviation = (statistics - model.centre).square().mean(dim=0).sqrt().clamp_min(1e-3)
    model.scale.lerp_(deviation, share)


class StyleSheet:
    """Held-out contents (rows) in held-out styles (columns)."""

    def __init__(self, trainer: StylizerTrainer, contents: Tensor, styles: Tensor) -> None:
        self.trainer, self.contents, self.styles = trainer, contents, styles

    @torch.no_grad()
    def _painted(self, model: Stylizer) -> list[Tensor]:
        """For each content (N_s,3,S,S)."""
        device = next(model.parameters()).device
        styles, contents = self.styles.to(device), self.contents.to(device)
        codes = model.code(self.trainer.read(styles), styles)
        painted = []
        for content in contents.split(1):
            small, *maps = (x.expand(len(styles), -1, -1, -1) for x in self.trainer.read(content))
            own = model.code((small, *maps), content.expand(len(styles), -1, -1, -1))
            painted.append(model(content.expand(len(styles), -1, -1, -1), codes, own, maps=maps))
        return painted

    def draw(self, model: Stylizer) -> Image.Image:
        """The styles on top, then a row for each content."""
        grey = torch.zeros_like(self.styles[0])
        pictures = [grey, *self.styles]
        for content, row in zip(self.contents, self._painted(model), strict=True):
            pictures += [content, *row.cpu()]
        return tile([to_image(picture) for picture in pictures], 1 + len(self.styles))

    @torch.no_grad()
    def measure(self, model: Stylizer) -> Mapping[str, float]:
        """Mean content and Gram distance over the sheet, by the trainer's judge."""
        device = next(model.parameters()).device
        judge = self.trainer.judge
        content_maps, style_maps = (judge(reduced(x.to(device))) for x in (self.contents, self.styles))
        generator = torch.Generator().manual_seed(0)
        wanted = Hand.of(style_maps[STYLE_LAYERS], generator)
        content: list[Tensor] = []
        gram: list[Tensor] = []
        for index, row in enumerate(self._painted(model)):
            maps = judge(reduced(row))
            own = [x[index : index + 1].expand(len(row), -1, -1, -1) for x in content_maps]
            content.append(losses.content_distance(maps[CONTENT_LAYERS], own[CONTENT_LAYERS]).mean())
            gram.append(losses.gram_distance(Hand.of(maps[STYLE_LAYERS], generator), wanted).mean())
        means = (float(torch.stack(values).mean()) for values in (content, gram))
        return dict(zip(("held_out_content", "held_out_gram"), means, strict=True))


def _divided(data: ImageSet, held_out: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Contents and styles to train on, then those held out, as indices."""
    parts = []
    for index in by_role(data):
        if len(index) < 2 * held_out:
            raise TrainingError(
                f"With {held_out} pictures held out at least {2 * held_out} photographs and as many paintings are "
                "needed; give more, or lower held_out."
            )
        order = index[torch.randperm(len(index), generator=torch.Generator().manual_seed(0))]
        parts.append((order[held_out:], order[:held_out]))
    (contents, shown_contents), (styles, shown_styles) = parts
    return contents, styles, shown_contents, shown_styles


def _batches(
    trainer: StylizerTrainer, _conditional: bool, data: ImageSet, options: TrainOptions, device: torch.device
) -> Pairs:
    contents, styles, _, _ = _divided(data, trainer.config.held_out)
    config, photographs, paintings = trainer.config, data.images[contents], data.images[styles]
    weights = unlikeness(trainer.encoder, photographs, paintings) ** config.style_bias if config.style_bias else None
    if device.type != "cpu":  # which has no need to wait for the processor
        photographs, paintings = photographs.to(device), paintings.to(device)
    return Pairs(
        photographs, paintings, weights, options.batch, config.crop, options.flip, config.zoom, config.palette, device
    )


def _showcase(trainer: StylizerTrainer, _conditional: bool, data: ImageSet, _options: TrainOptions) -> StyleSheet:
    _, _, contents, styles = _divided(data, trainer.config.held_out)
    chosen = (data.images[index[:count]] for index, count in ((contents, ROWS), (styles, COLUMNS)))
    shown_contents, shown_styles = (images.float().div(127.5).sub(1) for images in chosen)
    return StyleSheet(trainer, shown_contents, shown_styles)


RECIPES.add(
    "stylizer",
    Recipe(
        "stylizer",
        "stylizer",
        StylizerConfig,
        StylizerTraining,
        StylizerTrainer,
        False,
        "any style in one pass, judged by VGG16 and the encoder",
        styles=True,
        side=lambda _model, trainer: int(trainer.picture),
        batches=_batches,
        showcase=_showcase,
    ),
)
