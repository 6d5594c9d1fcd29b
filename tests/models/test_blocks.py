"""Building blocks of the generators."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from studio.models.blocks import UpConv3x3, convolved_and_normed
from studio.models.gan import gated_linear_unit


def test_an_upsampling_convolution_is_the_two_steps_and_has_their_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    block = UpConv3x3(5, 7).double()
    torch.nn.init.normal_(block.bias, generator=generator)
    x = torch.randn(2, 5, 6, 4, dtype=torch.float64, generator=generator).requires_grad_()
    towards = torch.randn(2, 7, 12, 8, dtype=torch.float64, generator=generator)
    wanted = (x, block.weight, block.bias)
    two_steps = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), block.weight, block.bias, padding=1)
    torch.testing.assert_close(block(x), two_steps)
    torch.testing.assert_close(
        torch.autograd.grad(block(x), wanted, towards), torch.autograd.grad(two_steps, wanted, towards)
    )
    with torch.no_grad():
        torch.testing.assert_close(block(x), two_steps)


def test_an_upsampling_convolution_keeps_the_number_type_of_its_map() -> None:
    block = UpConv3x3(5, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert block(torch.randn(1, 5, 4, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_gated_linear_unit_has_the_gradient_of_torch_s_own(layout: torch.memory_format) -> None:
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=layout).requires_grad_()
    own, torchs = gated_linear_unit(x), F.glu(x, dim=1)
    torch.testing.assert_close(own, torchs)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), x) for y in (own, torchs)))


@pytest.mark.parametrize("conv", [UpConv3x3(3, 4), nn.Conv2d(3, 4, 3, padding=1, bias=False)])
def test_a_convolution_that_takes_in_its_batch_norm_is_the_two_and_has_their_gradients(
    conv: UpConv3x3 | nn.Conv2d,
) -> None:
    generator = torch.Generator().manual_seed(0)
    conv, norm = conv.double(), nn.BatchNorm2d(4).double().eval()
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert tensor is not None
        nn.init.uniform_(tensor, 0.5, 2, generator=generator)
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64, generator=generator).requires_grad_()
    apart, together = norm(conv(x)), convolved_and_normed(conv, norm, x)
    torch.testing.assert_close(together, apart)
    towards, wanted = torch.randn_like(apart), (x, *conv.parameters(), *norm.parameters())
    torch.testing.assert_close(*(torch.autograd.grad(y, wanted, towards) for y in (together, apart)))
