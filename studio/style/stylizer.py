"""The `stylizer` kind: any style in one pass.

A style is a code made from the encoder's mean and standard deviation in every channel (Huang & Belongie 2017). Codes
blend by weights, lie between the picture's own code and a style's for strength, and may vary from place to place.
The colours are normalised by the picture's own mean and deviation and coloured by the code's; a network at half and
quarter resolution, modulated by the code (Dumoulin et al. 2017, conditional instance normalisation), adds the
strokes, in proportion to how far the code is from the picture's own: a picture in its own style comes back as it was.
Where it is told to match maps, the network also sees the picture's own encoder maps, brought to the style's mean and
deviation in every channel (Huang & Belongie 2017, eq. 8). Where it is told to, the finest octaves of what is painted
are brought to the strength that they have in the style (`studio.style.octaves`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.core.octaves import CHANNELS, MOST, strengths
from studio.style.encoder import LAYERS, EncoderConfig, pad, statistics_of
from studio.style.octaves import brought
from studio.style.styled import Affine, Styled, StyledBlock, resized, spread

COLOURS = 6  # first entries of a code: mean and deviation of R, G and B
CODE_SIZE = 0.3  # root mean square of the rest
STROKE_SIZE = 0.2  # factor on the last convolution, so that training changes pictures gently
DIVISOR = 4  # sides are padded to a multiple of it
WIDE = 2  # px from tap to tap in wide blocks
SMALLEST = 8  # px
SURE = 30.0  # how fast the octaves come to full presence off the own code: their strengths lie between both anyway


@dataclass(frozen=True)
class StylizerConfig:
    """widths: of the encoder whose statistics make the codes. channels: at quarter resolution; half: at half
    resolution. blocks: residual blocks; wide: those among them, the last, whose convolutions skip every other pixel,
    for larger strokes. code: length of what is learned of a code, colours included. hidden: width of the network that
    makes it. matched: maps of the encoder, from the finest, that the network sees in the style's statistics. kernels:
    that the style mixes into every modulated convolution. pooled: learned features of each map but the finest that
    codes are made from too, averaged over a picture. octaves: the finest, that are brought to the style's strength."""

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 128)
    channels: int = 64
    half: int = 32
    blocks: int = 4
    wide: int = 0
    code: int = 256
    hidden: int = 384
    matched: int = 0
    kernels: int = 0
    pooled: int = 0
    octaves: int = 0

    def __post_init__(self) -> None:
        EncoderConfig(widths=self.widths)
        for name, low, high in (("channels", 4, 512), ("half", 4, 256), ("blocks", 1, 16), ("hidden", 4, 2048)):
            if not low <= getattr(self, name) <= high:
                raise InvalidRequest(f"{name} must be from {low} to {high}; got {getattr(self, name)}.")
        if not 0 <= self.wide <= self.blocks:
            raise InvalidRequest(f"wide must be from 0 to the {self.blocks} blocks; got {self.wide}.")
        if not 0 <= self.matched <= LAYERS:
            raise InvalidRequest(f"matched must be from 0 to the encoder's {LAYERS} maps; got {self.matched}.")
        if not 0 <= self.kernels <= 16:
            raise InvalidRequest(f"kernels must be from 0 to 16; got {self.kernels}.")
        if not 0 <= self.pooled <= 256:
            raise InvalidRequest(f"pooled must be from 0 to 256; got {self.pooled}.")
        if not 0 <= self.octaves <= MOST:
            raise InvalidRequest(f"octaves must be from 0 to {MOST}; got {self.octaves}.")
        if not COLOURS < self.code <= 2048:
            raise InvalidRequest(f"code must be from {COLOURS + 1} to 2048; got {self.code}.")

    @property
    def statistics(self) -> int:
        """Length of a row of encoder statistics."""
        return EncoderConfig(widths=self.widths).statistics

    @property
    def code_length(self) -> int:
        """Length of a code: what is learned, then the statistics of the matched maps, then the octaves."""
        return self.code + 2 * sum(self.widths[: self.matched]) + CHANNELS * self.octaves


class Stylizer(nn.Module):
    """Pictures of any size from 8 px a side, codes → pictures."""

    def __init__(self, config: StylizerConfig) -> None:
        super().__init__()
        self.config, self.code_length = config, config.code_length
        condition = config.code + 2
        plain = [torch.full((width,), value) for width in (3, *config.widths) for value in (0.0, 1.0)]
        self.register_buffer("centre", torch.cat(plain))  # until it is measured: means of 0, deviations of 1
        self.register_buffer("scale", torch.ones(config.statistics))
        self.centre: Tensor
        self.scale: Tensor
        self.pools = nn.ModuleList(nn.Conv2d(width, config.pooled, 1) for width in config.widths[1:] if config.pooled)
        self.learned = nn.Sequential(
            nn.Linear(config.statistics + len(self.pools) * config.pooled, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.code - COLOURS),
        )
        self.distance = nn.Parameter(torch.tensor(1.0))  # log of how fast strokes come in off the own code
        self.entry = nn.Conv2d(12, config.half, 3)
        self.down = nn.Conv2d(config.half, config.channels, 3, stride=2)
        first_wide = config.blocks - config.wide
        self.blocks = nn.ModuleList(
            StyledBlock(config.channels, condition, WIDE if index >= first_wide else 1, config.kernels)
            for index in range(config.blocks)
        )
        self.up = Styled(config.channels, config.half, condition, doubled=True, kernels=config.kernels)
        self.skip = Affine(condition, config.half, bias=0.5)
        self.lanes = nn.ModuleList(
            nn.Conv2d(width, config.half if index == 0 else config.channels, 3, bias=False)
            for index, width in enumerate(config.widths[: config.matched])
        )
        self.exit = nn.Conv2d(config.half, 12, 3)
        self.tint = Affine(condition, 9)
        for parameter in (*self.exit.parameters(), *self.tint.parameters(), *self.lanes.parameters()):
            nn.init.zeros_(parameter)  # the first pictures differ in their colours alone

    def code(self, maps: Sequence[Tensor], close: Tensor) -> Tensor:
        """Styles and all their encoder maps, (B,3,…) first → codes (B,C): colours, what is learned, the matched
        statistics, the octaves.

        close: the styles (B,3,H,W) at the size at which they would be painted, or at their own where that is smaller,
        for an enlarged picture has no fine detail; the finest octaves are read there.
        """
        statistics = statistics_of(maps)
        matched = statistics[:, COLOURS : COLOURS + 2 * sum(self.config.widths[: self.config.matched])]
        features = [(statistics - self.centre) / self.scale, *self._pooled(maps)]
        with torch.autocast(statistics.device.type, enabled=False):
            learned = self.learned(torch.cat(features, dim=1))
        learned = CODE_SIZE * learned * torch.rsqrt(learned.square().mean(dim=1, keepdim=True) + 1e-6)
        fine = strengths(close, self.config.octaves)
        return torch.cat([statistics[:, :COLOURS], learned, matched, fine], dim=1)

    def _pooled(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Means over a picture of learned, rectified mixtures of its channels, (B,P) for each map: how its values are
        spread in directions that moments channel by channel do not tell apart."""
        pooled, begin = [], COLOURS + 2 * self.config.widths[0]
        for pool, each in zip(self.pools, maps[2:], strict=False):
            mean, deviation = self.centre[begin : begin + 2 * each.shape[1]].chunk(2)
            normal = (each - _colour(mean[None]).to(each)) / _colour(deviation[None]).to(each)
            pooled.append(F.relu(pool(normal)).float().mean(dim=(2, 3)))
            begin += 2 * each.shape[1]
        return pooled

    def forward(
        self,
        content: Tensor,
        code: Tensor,
        own: Tensor,
        content_weight: Tensor | float = 0.5,
        strength: Tensor | float = 1.0,
        maps: Sequence[Tensor] = (),
    ) -> Tensor:
        """Paint. content: (B,3,H,W) in [-1,1] → same, in [-1,1] in eval mode and not clipped in train mode.

        code: (B,C), or (B,C,h,w) where the style varies from place to place. own: (B,C), the code of the content's own
        statistics. content_weight: (B,) 0 to 1, from loose to true. strength: (B,) 0 to 1, from content to style.
        maps: of the encoder, those to be matched at least, of the content at the size at which `own` was read.
        """
        height, width = content.shape[-2:]
        if min(height, width) < SMALLEST:
            raise InvalidRequest(f"The stylizer needs pictures of {SMALLEST} px a side; got {width}x{height}.")
        own = own if code.dim() == 2 else own[:, :, None, None]
        code = own + _rows(strength, code) * (code - own)
        condition = self._condition(code[:, : self.config.code], content_weight)
        matched = self._matched(maps, code[:, self.config.code :], own[:, self.config.code :])
        x = F.pad(content, (0, -width % DIVISOR, 0, -height % DIVISOR), mode="reflect")
        unit = F.pixel_unshuffle((x - _colour(own[:, :3])) / _colour(own[:, 3:COLOURS]), 2)
        apart = _apart((code - own)[:, : self.config.code])
        presence = spread(_colour(torch.tanh(apart * self.distance.exp())), unit)
        painted = self._coloured(unit, code) + presence * self._strokes(unit, condition, matched)
        result = self._sharpened(F.pixel_shuffle(painted, 2), code, apart)[:, :, :height, :width]
        return result if self.training else result.clamp(-1, 1)

    def _condition(self, code: Tensor, content_weight: Tensor | float) -> Tensor:
        """The code with the content weight at its end, as a line and a parabola."""
        weight = _rows(content_weight, code).expand(len(code), 1, *code.shape[2:]) * 2 - 1
        return torch.cat([code, weight, weight.square()], dim=1)

    def _coloured(self, unit: Tensor, code: Tensor) -> Tensor:
        """Normalised pixels with the code's mean and deviation: (B,12,h,w) → same, in [-1,1] units."""
        mean, deviation = (_colour(part).repeat_interleave(4, dim=1) for part in code[:, :COLOURS].split(3, dim=1))
        return unit * spread(deviation, unit) + spread(mean, unit)

    def _sharpened(self, painted: Tensor, code: Tensor, apart: Tensor) -> Tensor:
        """With the finest octaves as strong as the code has them; where it is the picture's own nothing changes."""
        if not self.config.octaves:
            return painted
        wanted = _colour(code[:, -CHANNELS * self.config.octaves :])
        return brought(painted, wanted, torch.tanh(SURE * _colour(apart)))

    def _matched(self, maps: Sequence[Tensor], code: Tensor, own: Tensor) -> list[Tensor]:
        """Maps (B,C_l,…) in the code's mean and deviation, then relative to what is usual. → same shapes."""
        if len(maps) < self.config.matched:
            raise InvalidRequest(f"The stylizer needs {self.config.matched} maps of the content; got {len(maps)}.")
        matched, begin = [], 0
        for each, width in zip(maps, self.config.widths[: self.config.matched], strict=False):
            parts = (code, own, self.centre[None, COLOURS:])
            (mean, deviation), (own_mean, own_deviation), (usual_mean, usual_deviation) = (
                [_colour(x) for x in part[:, begin : begin + 2 * width].split(width, dim=1)] for part in parts
            )
            gain = deviation / (own_deviation * usual_deviation)
            shift = (mean - usual_mean) / usual_deviation - own_mean * gain
            matched.append(torch.addcmul(spread(shift, each), each.float(), spread(gain, each)))
            begin += 2 * width
        return matched

    def _strokes(self, unit: Tensor, condition: Tensor, matched: Sequence[Tensor]) -> Tensor:
        """(B,12,h,w), (B,C,…), maps → (B,12,h,w)."""
        lanes = [lane(pad(each)) for lane, each in zip(self.lanes, matched, strict=True)]
        fine = F.relu(self.entry(pad(unit)))
        for lane in lanes[:1]:
            fine = fine + resized(lane, fine)
        x = F.relu(self.down(pad(fine)))
        for lane in lanes[1:]:
            x = x + resized(lane, x)
        for block in self.blocks:
            x = block(x, condition)
        x = F.relu(self.up(x, condition)) + spread(self.skip(condition), fine).to(fine) * fine
        return STROKE_SIZE * self.exit(pad(x)) + self._tinted(unit, condition)

    def _tinted(self, unit: Tensor, condition: Tensor) -> Tensor:
        """A 3x3 matrix of colours that depends on the code, at each of the four places of a pixel block."""
        matrix = spread(self.tint(condition), unit)
        red, green, blue = unit.split(4, dim=1)
        rows = matrix.split(3, dim=1)
        return torch.cat([row[:, 0:1] * red + row[:, 1:2] * green + row[:, 2:3] * blue for row in rows], dim=1)


def _rows(value: Tensor | float, like: Tensor) -> Tensor:
    """A number or one for each picture, to go with (B,C) or (B,C,h,w)."""
    if not isinstance(value, Tensor):
        return like.new_full((1,) * like.dim(), value)  # made where it is, with no copy to wait for
    rows = value.to(like).reshape(-1, 1)
    return rows if like.dim() == 2 else rows[:, :, None, None]


def _apart(difference: Tensor) -> Tensor:
    """How far codes lie from the picture's own, 0 where they are the same: (B,C,…) → (B,1,…)."""
    return (difference.square().mean(dim=1, keepdim=True) + 1e-8).sqrt() - 1e-4


def _colour(values: Tensor) -> Tensor:
    """(B,O) → (B,O,1,1); maps stay."""
    return values[:, :, None, None] if values.dim() == 2 else values


def _build(config: StylizerConfig, names: int) -> Stylizer:
    if names:
        raise InvalidRequest(f"A stylizer has no classes; got {names}.")
    return Stylizer(config)


MODEL_KINDS.add(
    "stylizer",
    ModelKind("stylizer", StylizerConfig, _build, "Arbitrary style transfer in one pass", latent=False),
)
