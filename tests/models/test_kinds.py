"""What holds for every registered kind of model: a new kind is tested by being registered."""

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.core import checkpoint
from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, LatentModel
from studio.models.base import measure_w_mean

RESOLUTIONS = (32, 64, 128, 256)
CLASSES = ("landscape", "portrait", "still-life")
SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"channels": 32, "latent_dim": 8, "class_dim": 4},
    "gan": {"capacity": 0.1, "latent_dim": 8, "embedding": 4},
    "vae": {"channels": 32, "encoder_channels": 16, "latent_dim": 8, "width": 16, "class_dim": 4, "components": 3},
}

every_kind = pytest.mark.parametrize("kind", [name for name in MODEL_KINDS if MODEL_KINDS[name].latent])
every_size = pytest.mark.parametrize("resolution", RESOLUTIONS)
with_and_without_classes = pytest.mark.parametrize("classes", [0, 3])


def build(kind: str, resolution: int = 32, classes: int = 0, seed: int = 0) -> LatentModel:
    torch.manual_seed(seed)
    row = MODEL_KINDS[kind]
    return row.build(row.config(resolution=resolution, **SMALL.get(kind, {})), classes)


def inputs(model: LatentModel, count: int = 3) -> tuple[torch.Tensor, torch.Tensor | None]:
    z = torch.randn(count, model.latent_dim, generator=torch.Generator().manual_seed(1))
    return z, torch.eye(model.class_count)[torch.arange(count) % model.class_count] if model.class_count else None


def unsettle(model: LatentModel) -> None:
    """Give every batch norm statistics and weights that matter, and convolutions some contrast, as if trained."""
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, torch.nn.ConvTranspose2d):
            module.weight.data.mul_(5)
        if isinstance(module, torch.nn.BatchNorm2d):
            shape = module.running_mean.shape
            module.running_mean.copy_(torch.randn(shape, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(shape, generator=generator) + 0.1)
            module.weight.data.copy_(torch.rand(shape, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(shape, generator=generator) * 0.2)


@every_kind
@every_size
@with_and_without_classes
def test_noise_becomes_styles_and_styles_become_pictures(kind: str, resolution: int, classes: int) -> None:
    model = build(kind, resolution, classes)
    z, weights = inputs(model)
    w = model.mapping(z, weights)
    pictures = model.synthesis(w)
    assert w.shape == (3, model.layers, model.width)
    assert pictures.shape == (3, 3, resolution, resolution)
    assert torch.isfinite(pictures).all()
    assert model.eval().synthesis(w).abs().max() <= 1
    assert model.w_mean.shape == (max(classes, 1), model.width)
    assert (model.resolution, model.class_count) == (resolution, classes)


@every_kind
@every_size
@with_and_without_classes
def test_gradients_reach_everything_between_noise_and_picture(kind: str, resolution: int, classes: int) -> None:
    model = build(kind, resolution, classes)
    z, weights = inputs(model, 4)
    target = torch.linspace(-1, 1, resolution)
    (model(z, weights) - target).square().mean().backward()
    grads = {name: p.grad for name, p in model.named_parameters() if not name.startswith("encoder.")}
    missing = [name for name, grad in grads.items() if grad is None]
    assert missing == []
    assert all(torch.isfinite(grad).all() for grad in grads.values() if grad is not None)
    moved = sum(bool(grad.abs().max() > 0) for grad in grads.values() if grad is not None)
    assert moved > 0.6 * len(grads)


@every_kind
@every_size
@with_and_without_classes
def test_a_saved_model_comes_back_bit_equal(kind: str, resolution: int, classes: int, tmp_path: Path) -> None:
    model = build(kind, resolution, classes)
    unsettle(model)
    path = tmp_path / "model.safetensors"
    config = MODEL_KINDS[kind].config(resolution=resolution, **SMALL.get(kind, {}))
    checkpoint.save(
        path,
        model,
        kind=kind,
        config=config,
        classes=CLASSES[:classes],
        provenance={},
        metrics={},
        dtype=torch.float32,
    )
    again = checkpoint.load(path).build()
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    z, weights = inputs(model)
    with torch.no_grad():
        assert torch.equal(model.eval()(z, weights), again(z, weights))


@every_kind
def test_a_picture_depends_on_w_alone(kind: str) -> None:
    model = build(kind, classes=3).eval()
    z, weights = inputs(model)
    with torch.no_grad():
        w = model.mapping(z, weights)
        first = model.synthesis(w)
        torch.manual_seed(99)
        assert torch.equal(model.synthesis(w), first)


@every_kind
@pytest.mark.parametrize("resolution", [32, 128])
@with_and_without_classes
@torch.no_grad()
def test_a_model_made_ready_for_inference_paints_the_same(kind: str, resolution: int, classes: int) -> None:
    model = build(kind, resolution, classes).eval()
    unsettle(model)
    z, weights = inputs(model)
    before = model(z, weights)
    model.optimise_()
    assert before.std() > 0.01
    assert (model(z, weights) - before).abs().max() < 1e-4


@every_kind
@torch.no_grad()
def test_a_mix_of_classes_lies_between_them(kind: str) -> None:
    model = build(kind, classes=3).eval()
    z = inputs(model, 1)[0].expand(4, -1)
    corners = torch.tensor([[1.0, 0, 0], [0.999, 0.001, 0], [0.5, 0.5, 0], [0, 1.0, 0]])
    w = model.mapping(z, corners).flatten(1)
    first, nearly_first, half, second = w
    apart = (first - second).norm()
    assert apart > 0
    assert (first - nearly_first).norm() < 0.01 * apart
    assert 0.2 * apart < (first - half).norm() < 0.9 * apart
    assert 0.2 * apart < (second - half).norm() < 0.9 * apart


@every_kind
def test_classes_without_weights_are_one_clear_sentence(kind: str) -> None:
    model = build(kind, classes=3)
    with pytest.raises(InvalidRequest, match="3 classes"):
        model(inputs(model)[0], None)


@every_kind
@pytest.mark.parametrize("change", [{"resolution": 48}, {"resolution": 512}, {"latent_dim": 0}, {"latent_dim": 10**9}])
def test_a_config_out_of_bounds_is_refused(kind: str, change: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        MODEL_KINDS[kind].config(**change)


@every_kind
def test_the_centre_of_truncation_is_measured_for_each_class(kind: str) -> None:
    model = build(kind, classes=3).eval()
    measure_w_mean(model, count=64)
    assert torch.isfinite(model.w_mean).all()
    assert (model.w_mean[0] - model.w_mean[1]).abs().max() > 0
    z = torch.randn(64, model.latent_dim, generator=torch.Generator().manual_seed(0))
    weights = torch.eye(3)[torch.full((64,), 2)]
    torch.testing.assert_close(model.mapping(z, weights).mean(dim=(0, 1)), model.w_mean[2], rtol=1e-4, atol=1e-5)


@every_kind
@pytest.mark.parametrize("conditional", [False, True])
def test_a_published_64_pixel_file_stays_under_ten_megabytes(kind: str, conditional: bool) -> None:
    with torch.device("meta"):
        model = MODEL_KINDS[kind].build(MODEL_KINDS[kind].config(resolution=64), 8 if conditional else 0)
    floats = sum(t.numel() for t in model.state_dict().values() if t.is_floating_point())
    assert floats * 2 < 10_000_000
