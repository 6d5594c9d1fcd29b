"""A style's code, bettered by practice: gradient steps on the code alone, the stylizer as it is.

What the stylizer makes of a style at a glance falls short of what its strokes could do: no network that reads a few
hundred statistics finds the best code for every painting. For paintings that are known beforehand there is time to look
for it: photographs are painted again and again, and the code goes down the recipe's own losses (`studio train
stylizer`), the style's being those of the whole painting.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.dataset import read_dataset
from studio.core.images import open_image, to_tensor
from studio.style.losses import Hand
from studio.style.stylizer import Stylizer
from studio.training.data import crops
from studio.training.stylizer import CONTENT_LAYERS, READ, SIGHT, StylizerTrainer, reduced
from studio.training.stylizer_settings import StylizerTraining

LOOK = (READ + SIGHT) / 2  # size at which a picture is read for its code, over that at which it is painted
CROP, SIDE, BATCH = 192, 256, 2  # px cut from a photograph, px to which it is enlarged, photographs in a step
LEARNING_RATE = 0.02
CONTENT_WEIGHT, CONTENT_RANGE = 0.5, 5.0


@dataclass(frozen=True)
class Practice:
    """Steps on codes. trainer: with the stylizer that practises. photographs: (N,3,S,S) uint8. bf16: the precision."""

    trainer: StylizerTrainer
    photographs: Tensor
    steps: int
    bf16: bool = False

    @classmethod
    def of(
        cls, stylizer: Stylizer, encoder: Path, teacher: Path, photographs: Path, steps: int, bf16: bool
    ) -> "Practice":
        """From files: the encoder's checkpoint, VGG16's weights, and a folder or zip of photographs."""
        settings = StylizerTraining(
            encoder=str(encoder), teacher=str(teacher), content_weight=CONTENT_WEIGHT, content_range=CONTENT_RANGE
        )
        trainer = StylizerTrainer(stylizer.config, settings, 0)
        trainer.model = stylizer.requires_grad_(False)
        return cls(trainer, read_dataset([photographs], settings.picture).images, steps, bf16)

    def bettered(self, code: Tensor, work: Path, shorter: int) -> Tensor:
        """A code (1,C) after the steps. work: the painting; shorter: px of its shorter side as the code was read."""
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            hands = [
                Hand.of(view, generator) for view in self.trainer.views(scaled(open_image(work), round(shorter / LOOK)))
            ]
        code = code.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([code], LEARNING_RATE)
        for step in range(self.steps):
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * (1 - step / self.steps)
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16), torch.enable_grad():
                loss = self.loss(code, hands, generator)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return code.detach()

    @torch.no_grad()
    def hands(self, work: Path, shorter: int) -> list[Hand]:
        """Of the whole painting at the size at which it is painted, by both of the recipe's views."""
        views = self.trainer.views(scaled(open_image(work), round(shorter / LOOK)))
        return [Hand.of(view, torch.Generator().manual_seed(0)) for view in views]

    def loss(self, code: Tensor, hands: list[Hand], generator: torch.Generator) -> Tensor:
        """That of a few photographs painted by the code, with content weights drawn at random."""
        trainer, stylizer = self.trainer, self.trainer.model
        contents = crops(self.photographs, BATCH, CROP, generator, zoom=trainer.config.zoom)
        contents = F.interpolate(contents, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(-1, 1)
        weight = torch.rand(BATCH, generator=generator)
        with torch.no_grad():
            read = trainer.read(contents, LOOK)
            wanted = trainer.judge(reduced(contents))[CONTENT_LAYERS]
        painted = stylizer(contents, code.expand(BATCH, -1), stylizer.code(read), weight, maps=read[1:]).float()
        asked = [hand.rows(torch.zeros(BATCH, dtype=torch.long)) for hand in hands]
        return trainer.weighed(trainer.judged(painted, wanted, asked, generator), weight)


def scaled(image: Image.Image, shorter: int) -> Tensor:
    """The whole picture with its shorter side at `shorter` px, (1,3,H,W)."""
    factor = shorter / min(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return to_tensor(image.resize(size, Image.Resampling.LANCZOS))[None]
