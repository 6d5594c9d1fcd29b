"""Recipe `stylizer`: arbitrary style transfer in one pass, judged by the trained encoder's maps.

Content and style weights are drawn for every picture and told to the network (Babaeizadeh & Ghiasi 2018, Adjustable
real-time style transfer), so that sliders act without optimising. A style equal to the content needs no loss: by
construction it gives the content back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.models import bounds
from studio.style import losses
from studio.style.encoder import StyleEncoder, statistics_of
from studio.style.stylizer import COLOURS, Stylizer, StylizerConfig
from studio.training.data import by_role, crops
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, Recipe, StepContext

CONTENT_LAYERS = slice(2, 4)  # strides 4 and 8
STYLE_LAYERS = slice(0, 4)
MEASURED_IMAGES = 2_000  # pictures from which the scale of the statistics is measured, at the start
ROWS, COLUMNS = 6, 7  # of the showcase: contents, styles


@dataclass(frozen=True)
class StylizerTraining:
    """Settings.

    encoder: the checkpoint of the encoder. picture: px to which the pictures are read. crop: px. content_weight: of the
    content loss in the middle of its range, whose ends are `content_range` times less and more. gram_weight,
    moment_weight, sliced_weight: of the style losses, the last of the pixels too. variation_weight, contrast_weight:
    of smoothness and of telling codes apart. held_out: pictures of each kind that are shown and never trained on.
    """

    encoder: str = ""
    picture: int = 192
    crop: int = 144
    learning_rate: float = 1e-3
    content_weight: float = 0.5
    content_range: float = 4.0
    gram_weight: float = 6.0
    moment_weight: float = 3.0
    sliced_weight: float = 4.0
    variation_weight: float = 0.02
    contrast_weight: float = 0.02
    held_out: int = 16

    def __post_init__(self) -> None:
        bounds.whole("picture", self.picture, 32, 1024)
        bounds.whole("crop", self.crop, 32, self.picture)
        bounds.whole("held_out", self.held_out, 1, 1024)
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        bounds.real("content_range", self.content_range, 1, 100)
        for name in ("content_weight", "gram_weight", "moment_weight", "sliced_weight"):
            bounds.real(name, getattr(self, name), 0, 1000)
        for name in ("variation_weight", "contrast_weight"):
            bounds.real(name, getattr(self, name), 0, 1000)


def read_encoder(path: str) -> StyleEncoder:
    """The encoder of a checkpoint, frozen. Raises TrainingError where none is given or the file holds no encoder."""
    if not path:
        raise TrainingError("The stylizer is trained by an encoder; name one with --config encoder=FILE.")
    encoder = checkpoint.load(Path(path).expanduser()).build_module()
    if not isinstance(encoder, StyleEncoder):
        raise TrainingError(f"{Path(path).name} holds no encoder; train one with `studio train encoder`.")
    return encoder.requires_grad_(False).to(memory_format=torch.channels_last)


class StylizerTrainer:
    """The stylizer, the frozen encoder, and Adam."""

    features: tuple[str, ...] = ("encoder",)

    def __init__(self, model_config: StylizerConfig, config: StylizerTraining, class_count: int) -> None:
        del class_count
        self.config = config
        self.encoder = read_encoder(config.encoder)
        if self.encoder.widths != model_config.widths:
            raise TrainingError(
                f"The encoder has the widths {self.encoder.widths} and the stylizer expects {model_config.widths}; "
                "set widths to the encoder's."
            )
        self.model: Stylizer = Stylizer(model_config).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.model.parameters(), config.learning_rate, (0.9, 0.99), foreach=True)

    def modules(self) -> dict[str, nn.Module]:
        """The encoder stays out: it comes from its file."""
        return {"model": self.model}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimiser": self.optimiser}

    def to(self, device: torch.device) -> None:
        self.model.to(device)
        self.encoder.to(device)

    def step(self, contents: Tensor, styles: Tensor, context: StepContext) -> Mapping[str, Tensor]:
        config, generator = self.config, context.generator
        contents = contents.contiguous(memory_format=torch.channels_last)
        styles = styles.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            content_maps, style_maps = self.encoder(contents), self.encoder(styles)
            content_statistics = statistics_of((contents, *content_maps))
            style_statistics = statistics_of((styles, *style_maps))
        if context.images < MEASURED_IMAGES:
            measure(self.model, torch.cat([content_statistics, style_statistics]), context.images)
        weight = torch.rand(len(contents), generator=generator).to(contents.device)
        code, own = self.model.code(style_statistics), self.model.code(content_statistics)
        painted = self.model(contents, code, own, weight)
        maps = self.encoder(painted)
        terms = {
            "content": losses.content_distance(maps[CONTENT_LAYERS], content_maps[CONTENT_LAYERS]),
            "gram": losses.gram_distance(maps[STYLE_LAYERS], style_maps[STYLE_LAYERS]),
            "moments": losses.moment_distance(maps, style_maps),
            "sliced": losses.sliced_distance(
                (painted, *maps[STYLE_LAYERS]), (styles, *style_maps[STYLE_LAYERS]), generator
            ),
            "variation": losses.variation(painted),
            "excess": losses.excess(painted),
            "contrast": self._contrast(painted, maps, code),
        }
        weights: dict[str, Tensor | float] = {
            "content": config.content_weight * config.content_range ** (2 * weight - 1),
            "gram": config.gram_weight,
            "moments": config.moment_weight,
            "sliced": config.sliced_weight,
            "variation": config.variation_weight,
            "excess": 1.0,
            "contrast": config.contrast_weight,
        }
        loss = torch.stack([(weights[name] * term).mean() for name, term in terms.items()]).sum()
        context.update(loss, self.optimiser)
        return {"loss": loss.detach(), **{name: term.detach().mean() for name, term in terms.items()}}

    def _contrast(self, painted: Tensor, maps: tuple[Tensor, ...], code: Tensor) -> Tensor:
        """Codes without their colours, which are easily told apart."""
        found = self.model.code(statistics_of((painted, *maps)))
        return losses.contrast(found[:, COLOURS:], code[:, COLOURS:])

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


@dataclass(frozen=True)
class Pairs:
    """Batches of content and style crops. contents, styles: (N,3,S,S) uint8."""

    contents: Tensor
    styles: Tensor
    batch: int
    side: int
    flip: bool
    device: torch.device

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        drawn = (crops(each, self.batch, self.side, generator, self.flip) for each in (self.contents, self.styles))
        contents, styles = (each.to(self.device) for each in drawn)
        return contents, styles


class StyleSheet:
    """Held-out contents (rows) in held-out styles (columns)."""

    def __init__(self, encoder: StyleEncoder, contents: Tensor, styles: Tensor) -> None:
        self.encoder, self.contents, self.styles = encoder, contents, styles

    @torch.no_grad()
    def _painted(self, model: Stylizer) -> list[Tensor]:
        """For each content (N_s,3,S,S)."""
        device = next(model.parameters()).device
        styles, contents = self.styles.to(device), self.contents.to(device)
        codes = model.code(self.encoder.statistics(styles))
        own = model.code(self.encoder.statistics(contents))
        return [
            model(x.expand(len(styles), -1, -1, -1), codes, o.expand(len(styles), -1))
            for x, o in zip(contents, own, strict=True)
        ]

    def draw(self, model: Stylizer) -> Image.Image:
        """The styles on top, then a row for each content."""
        grey = torch.zeros_like(self.styles[0])
        pictures = [grey, *self.styles]
        for content, row in zip(self.contents, self._painted(model), strict=True):
            pictures += [content, *row.cpu()]
        return tile([to_image(picture) for picture in pictures], 1 + len(self.styles))

    @torch.no_grad()
    def measure(self, model: Stylizer) -> Mapping[str, float]:
        """Mean content and Gram distance over the sheet, by the encoder."""
        device = next(model.parameters()).device
        content_maps, style_maps = self.encoder(self.contents.to(device)), self.encoder(self.styles.to(device))
        content: list[Tensor] = []
        gram: list[Tensor] = []
        for index, row in enumerate(self._painted(model)):
            maps = self.encoder(row)
            own = [x[index : index + 1].expand(len(row), -1, -1, -1) for x in content_maps]
            content.append(losses.content_distance(maps[CONTENT_LAYERS], own[CONTENT_LAYERS]).mean())
            gram.append(losses.gram_distance(maps[STYLE_LAYERS], style_maps[STYLE_LAYERS]).mean())
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
    side = trainer.config.crop
    return Pairs(data.images[contents], data.images[styles], options.batch, side, options.flip, device)


def _showcase(trainer: StylizerTrainer, _conditional: bool, data: ImageSet, _options: TrainOptions) -> StyleSheet:
    _, _, contents, styles = _divided(data, trainer.config.held_out)
    chosen = (data.images[index[:count]] for index, count in ((contents, ROWS), (styles, COLUMNS)))
    shown_contents, shown_styles = (images.float().div(127.5).sub(1) for images in chosen)
    return StyleSheet(trainer.encoder, shown_contents, shown_styles)


RECIPES.add(
    "stylizer",
    Recipe(
        "stylizer",
        "stylizer",
        StylizerConfig,
        StylizerTraining,
        StylizerTrainer,
        False,
        "any style in one pass, taught by the encoder",
        styles=True,
        side=lambda _model, trainer: int(trainer.picture),
        batches=_batches,
        showcase=_showcase,
    ),
)
