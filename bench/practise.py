"""Practice (`studio.style.practice`) on the codes of known paintings: on photographs, by VGG16 and Lite0."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.dataset import read_dataset
from studio.core.images import open_image, to_tensor
from studio.style.practice import WEIGHTS, Course, trainable
from studio.style.sight import LOOK
from studio.style.stylizer import Stylizer
from studio.training.data import crops
from studio.training.stylizer import StylizerTrainer
from studio.training.stylizer_settings import StylizerTraining

CROP, SIDE, BATCH, ZOOM = 192, 256, 2, 2.0  # px cut from a photograph, px it is enlarged to, photographs in a step


@dataclass(frozen=True)
class Practice:
    """Steps on codes. trainer: whose judges are asked. photographs: (N,3,S,S) uint8."""

    trainer: StylizerTrainer
    photographs: Tensor
    steps: int
    bf16: bool = False

    @classmethod
    def of(
        cls, stylizer: Stylizer, encoder: Path, teacher: Path, photographs: Path, steps: int, bf16: bool
    ) -> "Practice":
        """From files: the encoder's checkpoint, VGG16's weights, and a folder or zip of photographs."""
        settings = StylizerTraining(encoder=str(encoder), teacher=str(teacher), second_weight=WEIGHTS.second)
        trainer = StylizerTrainer(stylizer.config, settings, 0)
        trainer.model = stylizer
        return cls(trainer, read_dataset([photographs], settings.picture).images, steps, bf16)

    def course(self, code: Tensor, work: Path, shorter: int) -> Course:
        """That of a painting. code: as it was read with its shorter side at `shorter` px."""
        stylizer = trainable(self.trainer.model)
        autocast: Callable[[], AbstractContextManager[object]] = partial(
            torch.autocast, "cpu", torch.bfloat16, enabled=self.bf16
        )
        picture = scaled(open_image(work), round(shorter / LOOK))
        return Course(stylizer, self.trainer.encoder, self.trainer.views, self.contents, code, picture, autocast)

    def bettered(self, code: Tensor, work: Path, shorter: int) -> Tensor:
        """A code (1,C) after the steps."""
        course = self.course(code, work, shorter)
        for _ in range(self.steps):
            course.step()
        return course.codes[-1]

    def contents(self, generator: torch.Generator) -> Tensor:
        """Photographs of a step, (B,3,S,S) in [-1,1]."""
        cut = crops(self.photographs, BATCH, CROP, generator, zoom=ZOOM)
        return F.interpolate(cut, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(-1, 1)


def scaled(image: Image.Image, shorter: int) -> Tensor:
    """The whole picture with its shorter side at `shorter` px, (1,3,H,W)."""
    factor = shorter / min(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return to_tensor(image.resize(size, Image.Resampling.LANCZOS))[None]
