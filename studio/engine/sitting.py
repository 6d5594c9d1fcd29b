"""One request's pictures as tensors, and what is painted from them: the instant picture, and the finished one."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.images import to_image, to_tensor
from studio.engine.pictures import opaque, wanted
from studio.engine.style_models import StyleModels
from studio.engine.style_requests import STARTS, Style, StylizeRequest
from studio.style.codes import blend
from studio.style.colour import keep_alpha, recolour
from studio.style.mask import apply_mask, strength_mask
from studio.style.moments import Moments
from studio.style.objective import MIN_SIDE
from studio.style.practice import Course


@dataclass(frozen=True)
class Sitting:
    """photo: the content at the size of the result, alpha and all. content: the same as (3,H,W) in [-1,1], its
    edges repeated where a side is too short to work on. mask: (1,H,W) in [0,1], or None."""

    request: StylizeRequest
    pictures: Mapping[str, Image.Image]
    photo: Image.Image
    content: Tensor
    mask: Tensor | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that are worked on."""
        return self.content.shape[-2], self.content.shape[-1]

    def instant(self, models: StyleModels) -> Tensor:
        """The stylizer's picture (3,H,W)."""
        request = self.request
        own = models.reader.content(request.content, wanted(self.pictures, request.content, "content"))
        code = blend([self._code(models, style) for style in request.styles], [one.weight for one in request.styles])
        return models.paint(self.content.to(models.device), own, code, request.style_weight, request.content_weight)

    def _code(self, models: StyleModels, style: Style) -> Tensor:
        if style.picture is None:
            return models.masterwork(style.masterwork or "")
        image = wanted(self.pictures, style.picture, "style")
        if style.practice:
            course = self.course(models, style)
            return course.codes[min(style.practice, course.steps)]
        return models.reader.style(style.picture, image, self.request.style_scale)

    def course(self, models: StyleModels, style: Style) -> Course:
        """The practice on the code of a style that is a picture."""
        name = style.picture or ""
        return models.reader.course(name, wanted(self.pictures, name, "style"), self.request.style_scale)

    def start(self, models: StyleModels) -> Tensor | None:
        """Where a refinement begins (3,H,W); None where that needs no picture."""
        start = self.request.start
        if start == "instant":
            return self.instant(models)
        if start in STARTS:
            return None
        image = opaque(wanted(self.pictures, start, "start")).resize(self.photo.size, Image.Resampling.LANCZOS)
        return padded(to_tensor(image)).to(models.device)

    def styles(self, models: StyleModels) -> list[Tensor | Moments]:
        """What a refinement goes towards: the style pictures as they are, (3,h,w) each, or their moments."""
        return [models.target(style, self.pictures) for style in self.request.styles]

    @torch.no_grad()
    def finished(self, picture: Tensor) -> Image.Image:
        """(3,H,W) → the picture as people see it: colours kept, mask applied, alpha carried over."""
        picture = picture.cpu()
        if self.request.preserve_color != "none":
            picture = recolour(picture, self.content, self.request.preserve_color)
        picture = picture[..., : self.photo.height, : self.photo.width]
        if self.mask is not None:
            own = self.content[..., : self.photo.height, : self.photo.width]
            picture = apply_mask(picture, own, self.mask)
        return keep_alpha(to_image(picture), self.photo)


def sit(request: StylizeRequest, pictures: Mapping[str, Image.Image]) -> Sitting:
    """Look a request's pictures up and bring them to size. Raises InvalidRequest for those that are not at hand."""
    photo = fitted(wanted(pictures, request.content, "content"), request.size)
    for style in request.styles:
        if style.picture is not None:
            wanted(pictures, style.picture, "style")
    if request.start not in STARTS:
        wanted(pictures, request.start, "start")
    mask = None
    if request.mask is not None:
        mask = strength_mask(wanted(pictures, request.mask, "mask"), photo.height, photo.width)
    return Sitting(request, pictures, photo, padded(to_tensor(opaque(photo))), mask)


def fitted(image: Image.Image, size: int) -> Image.Image:
    """The image with a long side of `size` pixels, enlarged or reduced."""
    factor = size / max(image.size)
    sides = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image if sides == image.size else image.resize(sides, Image.Resampling.LANCZOS)


def padded(picture: Tensor) -> Tensor:
    """(3,H,W) with its last row and column repeated up to the smallest side that can be worked on."""
    down, across = (max(MIN_SIDE - side, 0) for side in picture.shape[-2:])
    if not down and not across:
        return picture
    return F.pad(picture[None], (0, across, 0, down), mode="replicate")[0].contiguous()
