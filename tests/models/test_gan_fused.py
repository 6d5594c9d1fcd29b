"""The fused generator paints what the generator paints, at any size and number type, and alike in any company."""

import pytest
import torch
from torch import Tensor, nn

from studio.core.octaves import scaled
from studio.models.dcgan import Dcgan, DcganConfig
from studio.models.gan import GanConfig, GanGenerator
from studio.models.gan_fused import FusedGan, fused, specimen
from studio.models.packed import available

pytestmark = pytest.mark.skipif(not available(), reason="this torch has no packed convolutions")


def generator(resolution: int = 64, classes: int = 3, capacity: float = 0.15) -> GanGenerator:
    """A folded generator whose noises, norms and gates all say something."""
    torch.manual_seed(resolution + classes)
    model = GanGenerator(GanConfig(resolution, latent_dim=12, embedding=4, capacity=capacity), classes)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "noise.weight")):
                parameter.normal_(std=0.3)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.3)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    model.eval().requires_grad_(False)
    model.optimise_()
    return model


def styles(model: GanGenerator, count: int) -> Tensor:
    """Styles that differ between layers, as after mixing."""
    return torch.randn(count, model.layers, model.width, generator=torch.Generator().manual_seed(1))


def made(model: GanGenerator, dtype: torch.dtype) -> FusedGan:
    form = fused(model, dtype)
    assert form is not None
    return form


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
@torch.inference_mode()
def test_the_fused_form_is_the_same_function(resolution: int, classes: int) -> None:
    model = generator(resolution, classes)
    w = styles(model, 2)
    expected = model.synthesis(w)
    assert expected.std() > 0.05
    assert torch.allclose(made(model, torch.float32)(w), expected, atol=2e-4)
    assert (made(model, torch.bfloat16)(w) - expected).abs().mean() < 0.05 * expected.std()


@pytest.mark.parametrize("resolution", [32, 128])
@torch.inference_mode()
def test_gains_on_octaves_are_in_the_fused_form_too_and_a_picture_does_not_depend_on_its_company(
    resolution: int,
) -> None:
    model = generator(resolution, 3)
    w = styles(model, 3)
    plain = model.synthesis(w)
    model.gains = torch.tensor([[0.5, 0.2, 0.3], [1.2, 0.7, 0.8]])
    expected = model.synthesis(w)
    assert (expected - plain).abs().mean() > 0.001
    assert float(expected.abs().max()) <= 1
    torch.testing.assert_close(expected, scaled(plain, model.gains).clamp(-1, 1))
    form = made(model, torch.float32)
    assert torch.allclose(form(w), expected, atol=3e-4)
    assert torch.equal(form(w), torch.cat([form(one) for one in w.split(1)]))
    assert "gains" not in model.state_dict(), "they are no part of a file"


@torch.inference_mode()
def test_details_are_added_to_their_maps() -> None:
    model = generator()
    w = styles(model, 2)
    details = [torch.randn(2, channels, side, side) for channels, side in model.detail_shapes]
    assert len(details) == 2
    expected = model.synthesis(w, details)
    assert (expected - model.synthesis(w)).abs().mean() > 0.01
    assert torch.allclose(made(model, torch.float32)(w, details), expected, atol=2e-4)


@torch.inference_mode()
def test_the_generator_is_read_and_left_as_it_was() -> None:
    model = generator()
    w = styles(model, 1)
    before = model.synthesis(w)
    form = made(model, torch.float32)
    first = form(w)
    assert torch.equal(model.synthesis(w), before)
    for parameter in model.parameters():
        parameter.zero_()
    assert torch.equal(form(w), first)


def test_a_specimen_has_the_shape_of_a_model_and_weights_of_its_own() -> None:
    model, other = generator(), generator()
    for parameter in other.requires_grad_(False).parameters():
        parameter.mul_(2)
    first, second = specimen(model), specimen(other)
    assert first is not None
    assert second is not None
    own, theirs = dict(model.named_parameters()), dict(second.named_parameters())
    for name, parameter in first.named_parameters():
        assert parameter.shape == own[name].shape
        assert "norm" in name or not torch.equal(parameter, own[name])
        assert torch.equal(parameter, theirs[name])
    w = torch.randn(2, model.layers, model.width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(made(first, torch.float32)(w), first.synthesis(w), rtol=0, atol=1e-4)


def test_bytes_are_those_of_the_number_type() -> None:
    model = generator()
    assert made(model, torch.float32).bytes == 2 * made(model, torch.bfloat16).bytes > 0


def test_another_kind_has_no_fused_form() -> None:
    assert fused(Dcgan(DcganConfig(32, 8, 32), 0).eval(), torch.float32) is None


@pytest.mark.parametrize("missing", ["_convolution_pointwise", "_reorder_convolution_weight"])
def test_a_torch_without_the_operators_says_so(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr("studio.models.packed.NEEDED", (missing, "_no_such_operator"))
    assert not available()
    assert fused(generator(), torch.float32) is None
