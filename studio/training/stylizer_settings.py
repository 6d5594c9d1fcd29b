"""Settings of the recipe `stylizer`."""

from dataclasses import dataclass

import torch

from studio.core.errors import InvalidRequest
from studio.models import bounds
from studio.style.losses import Weights


@dataclass(frozen=True)
class StylizerTraining:
    """Settings.

    encoder: the checkpoint of the encoder. teacher: a file of VGG16 weights to judge by (empty: the encoder judges
    alone). styles_each: styles in which every content of a batch is painted. picture: px to which the pictures are
    read. crop: px; zoom: crops are enlarged at random by 1 to so much, as larger pictures show things. style_bias:
    styles are taken by this power of how unlike photographs they are; 0 for equally often. horizon: pictures over which
    the learning rate falls to 0, by half a cosine (Loshchilov & Hutter 2017, eq. 5); 0 keeps it. muon: whether matrices
    are updated by Muon, in steps as large as Adam's (Liu et al. 2025, arXiv 2502.16982, eq. 4), for gradients leave
    most directions of a code almost untouched. content_weight: of the content loss in the middle of its range,
    whose ends are `content_range` times less and more. detail_weight: of the distance of contents place by place in all
    maps, over content_weight. gram_weight, moment_weight, sliced_weight: of the style losses, the last of the pixels
    too. fine_weight: of the encoder's view beside the teacher's. second_weight: of EfficientNet-Lite0's, for what
    pleases one network alone may be a trick; above 0 its maps count in the detail too. variation_weight: of
    smoothness. palette: share of the styles whose colours are changed. held_out: pictures of each kind that are shown
    and never trained on.
    """

    encoder: str = ""
    teacher: str = ""
    styles_each: int = 1
    picture: int = 224
    crop: int = 192
    zoom: float = 2.0
    style_bias: float = 2.0
    learning_rate: float = 1e-3
    horizon: int = 0
    muon: bool = False
    content_weight: float = Weights.content
    content_range: float = Weights.content_range
    detail_weight: float = Weights.detail
    gram_weight: float = Weights.gram
    moment_weight: float = Weights.moments
    sliced_weight: float = Weights.sliced
    fine_weight: float = Weights.fine
    second_weight: float = 0.0
    variation_weight: float = Weights.variation
    palette: float = 0.0
    held_out: int = 16

    def __post_init__(self) -> None:
        bounds.whole("picture", self.picture, 32, 1024)
        bounds.whole("crop", self.crop, 32, self.picture)
        bounds.whole("held_out", self.held_out, 1, 1024)
        bounds.whole("styles_each", self.styles_each, 1, 64)
        bounds.whole("horizon", self.horizon, 0, 10**12)
        if self.muon and not hasattr(torch.optim, "Muon"):
            raise InvalidRequest(
                f"muon needs torch 2.9 or later; this is {torch.__version__}. Upgrade, or set muon=false."
            )
        bounds.real("zoom", self.zoom, 1, 8)
        bounds.real("style_bias", self.style_bias, 0, 16)
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        bounds.real("content_range", self.content_range, 1, 100)
        bounds.real("palette", self.palette, 0, 1)
        for name in ("content", "detail", "second", "gram", "moment", "sliced", "fine", "variation"):
            bounds.real(f"{name}_weight", getattr(self, f"{name}_weight"), 0, 1000)

    @property
    def weights(self) -> Weights:
        """Of the losses."""
        return Weights(
            content=self.content_weight,
            content_range=self.content_range,
            detail=self.detail_weight,
            gram=self.gram_weight,
            moments=self.moment_weight,
            sliced=self.sliced_weight,
            fine=self.fine_weight,
            second=self.second_weight,
            variation=self.variation_weight,
        )
