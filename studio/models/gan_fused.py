"""The `gan` generator as it paints on a CPU: the same function of w with less traffic between memory and processor.

Against `GanGenerator.synthesis`: weights are packed once and kept in the number type of the arithmetic; on large maps
each half of a gated linear unit is a convolution of its own, the gate's with the sigmoid inside, so that no map of
double width is written and read again; the last convolution, whose three output channels leave most of a vector
register empty, makes four pixels at once (space to depth). Early octaves, whose weights are larger than their maps,
paint a group of pictures together; late ones, whose maps would not stay in the cache, one by one. Linear layers are
convolutions of 1x1 maps: a matrix product adds up in an order that depends on the number of its rows, and the bits of
a picture must not depend on its company.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.kinds import LatentModel
from studio.models.blocks import Excitation, Modulation, UpConv3x3
from studio.models.gan import EXCITATION, GanGenerator, Gated, Octave, finished
from studio.models.packed import PackedConvolution, PackedUpsampling, available

TINY_BIAS = 100  # one over the variance of a specimen's biases
ALONE_FROM = 64  # px: maps from here on are painted one picture at a time, their gated units in halves


class FusedGan:
    """Call it with w (B,L,W) and details, none or (B,C,S,S) each → (B,3,R,R) in [-1,1], as GanGenerator.synthesis.

    generator: in eval mode, folded (`optimise_`), on a CPU; it is read, not kept. bytes: memory of the weights.
    """

    @torch.no_grad()
    def __init__(self, generator: GanGenerator, dtype: torch.dtype) -> None:
        self._dtype, self._latent_dim = dtype, generator.latent_dim
        self._start = _start(generator, dtype)
        octaves = [
            _Octave(octave, size, dtype) for size, octave in zip(generator.sizes, generator.octaves, strict=True)
        ]
        self._early = [octave for octave in octaves if octave.size < ALONE_FROM]
        self._late = [octave for octave in octaves if octave.size >= ALONE_FROM]
        self._gates = {int(size): _Gate(gate, dtype) for size, gate in generator.excitations.items()}
        self._colours = _affine(generator.colour_modulation, dtype)
        self._last = _Colour(generator.colour, generator.resolution, dtype)
        self._gains = None if generator.gains is None else generator.gains.clone()
        parts: list[_Part] = [self._start, *octaves, *self._gates.values(), self._colours, self._last]
        self.bytes = sum(part.bytes for part in parts)

    @torch.inference_mode()
    def __call__(self, w: Tensor, details: Sequence[Tensor] = ()) -> Tensor:
        w = w.to(self._dtype)[..., None, None]
        added = {detail.shape[3]: detail.to(self._dtype) for detail in details}
        x = self._start(w[:, 0, : self._latent_dim])
        x = F.glu(x.view(w.shape[0], 4, 4, -1).permute(0, 3, 1, 2), dim=1)
        maps = {4: x}
        for layer, octave in enumerate(self._early, start=1):
            x = octave(x, w[:, layer], None)
            x = x + added[octave.size] if octave.size in added else x
            maps[octave.size] = x
        gates = {size: gate(maps[EXCITATION[size]]) for size, gate in self._gates.items()}
        alone = (slice(i, i + 1) for i in range(w.shape[0]))
        painted = [self._painted(x[i], w[i], {size: gate[i] for size, gate in gates.items()}) for i in alone]
        return finished(torch.cat(painted), self._gains)

    def _painted(self, x: Tensor, w: Tensor, gates: dict[int, Tensor]) -> Tensor:
        """One picture from its last early map. x: (1,C,S,S), w: (1,L,W,1,1)."""
        gate = None
        for layer, octave in enumerate(self._late, start=1 + len(self._early)):
            x = octave(x, w[:, layer], gate)
            gate = gates[octave.size]
        return self._last(_modulated(x, self._colours(w[:, -1]), gate))


def fused(model: LatentModel, dtype: torch.dtype) -> FusedGan | None:
    """The fused form of a folded model; None where this kind of model, or this torch, has none."""
    return FusedGan(model, dtype) if isinstance(model, GanGenerator) and available() else None


@torch.no_grad()
def specimen(model: GanGenerator) -> GanGenerator | None:
    """A generator of a folded model's shape with weights of its own, the same every time, to try the fused form on.

    None where this torch has no fused form.
    """
    if not available():
        return None
    twin, generator = copy.deepcopy(model), torch.Generator().manual_seed(0)
    for parameter in twin.parameters():
        inputs = parameter[0].numel() if parameter.dim() > 1 else TINY_BIAS
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)
    for norm in (module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.reset_parameters()
    for conv in (module for module in twin.modules() if isinstance(module, UpConv3x3)):
        conv.freeze_()
    return twin


class _Part(Protocol):
    bytes: int


class _Octave:
    """As gan.Octave. x: (B,I,H,W), w: (B,W,1,1) → (B,O,2H,2W)."""

    def __init__(self, octave: nn.Module, size: int, dtype: torch.dtype) -> None:
        assert isinstance(octave, Octave)
        self.size = size
        self._style = _affine(octave.modulation, dtype)
        self._up = _gated(octave.up, size, dtype)
        noise = octave.noise
        self._noise = None if noise is None else (noise.weight * noise.fixed).to(dtype)
        self._refine = None if octave.refine is None else _gated(octave.refine, size, dtype)
        self.bytes = sum(part.bytes for part in (self._style, self._up, self._refine) if part is not None)

    def __call__(self, x: Tensor, w: Tensor, gate: Tensor | None) -> Tensor:
        x = self._up(_modulated(x, self._style(w), gate))
        if self._noise is not None:
            x.add_(self._noise)
        return x if self._refine is None else self._refine(x)


def _modulated(x: Tensor, style: Tensor, gate: Tensor | None) -> Tensor:
    """Modulation with the affine's output (B,2C,1,1), whose first half holds 1 + scale."""
    scale, shift = style.chunk(2, dim=1)
    return torch.addcmul(shift, x, scale if gate is None else scale * gate)


def _affine(modulation: Modulation, dtype: torch.dtype) -> PackedConvolution:
    """w (B,W,1,1) → (B,2C,1,1): 1 + scale, shift."""
    weight, bias = modulation.affine.weight, modulation.affine.bias.clone()
    bias[: len(bias) // 2] += 1
    return PackedConvolution(weight[:, :, None, None], bias, 1, dtype)


def _start(generator: GanGenerator, dtype: torch.dtype) -> PackedConvolution:
    """z (B,Z,1,1) → the 4x4 map before its gated unit, batch norm inside, as (B,16·2C,1,1): channels last."""
    norm = generator.start_norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps) * norm.weight
    shift = norm.bias - norm.running_mean * scale
    weight = generator.start.weight.view(len(scale), 16, -1) * scale[:, None, None]
    return PackedConvolution(weight.transpose(0, 1).flatten(0, 1)[:, :, None, None], shift.repeat(16), 1, dtype)


def _gated(gated: Gated, size: int, dtype: torch.dtype) -> "_Whole | _Halves":
    """A Gated block whose result has `size` px."""
    bias = gated.conv.bias
    assert bias is not None

    def packed(part: slice, activation: str = "none") -> PackedConvolution:
        conv = gated.conv
        if isinstance(conv, UpConv3x3):
            return PackedUpsampling(conv.kernel()[:, part], bias[part], size // 2, dtype, activation=activation)
        return PackedConvolution(conv.weight[part], bias[part], size, dtype, padding=1, activation=activation)

    if size < ALONE_FROM:
        return _Whole(packed(slice(None)))
    half = len(bias) // 2
    return _Halves(packed(slice(half)), packed(slice(half, None), "sigmoid"))


class _Whole:
    """A gated linear unit after one convolution."""

    def __init__(self, both: PackedConvolution) -> None:
        self._both, self.bytes = both, both.bytes

    def __call__(self, x: Tensor) -> Tensor:
        value, gate = self._both(x).chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class _Halves:
    """A gated linear unit whose value and gate are a convolution each, the gate's with its sigmoid inside."""

    def __init__(self, value: PackedConvolution, gate: PackedConvolution) -> None:
        self._value, self._gate, self.bytes = value, gate, value.bytes + gate.bytes

    def __call__(self, x: Tensor) -> Tensor:
        return self._value(x).mul_(self._gate(x))


class _Gate:
    """As blocks.Excitation."""

    def __init__(self, excitation: nn.Module, dtype: torch.dtype) -> None:
        assert isinstance(excitation, Excitation)
        squeeze, expand = excitation.squeeze, excitation.expand
        assert squeeze.bias is not None
        assert expand.bias is not None
        self._squeeze = PackedConvolution(squeeze.weight, squeeze.bias, 4, dtype, activation="swish")
        self._expand = PackedConvolution(expand.weight, expand.bias, 1, dtype, activation="sigmoid")
        self.bytes = self._squeeze.bytes + self._expand.bytes

    def __call__(self, low: Tensor) -> Tensor:
        return self._expand(self._squeeze(F.adaptive_avg_pool2d(low, 4)))


class _Colour:
    """The 3x3 convolution to colours, and tanh: as a 4x4 one of stride 2 to twelve channels, four pixels of three."""

    def __init__(self, conv: nn.Conv2d, side: int, dtype: torch.dtype) -> None:
        assert conv.bias is not None
        four = torch.zeros(3, 2, 2, conv.in_channels, 4, 4)
        for row in range(2):
            for column in range(2):
                four[:, row, column, :, row : row + 3, column : column + 3] = conv.weight
        bias = conv.bias.repeat_interleave(4)
        self._packed = PackedConvolution(four.flatten(0, 2), bias, side, dtype, stride=2, padding=1, activation="tanh")
        self.bytes = self._packed.bytes

    def __call__(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self._packed(x), 2)
