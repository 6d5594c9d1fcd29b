"""The autoencoder: encoder, prior and layer-wise styles."""

import math
from typing import Any

import pytest
import torch

from studio.core.errors import InvalidRequest
from studio.models.mixture import Mixture
from studio.models.vae import Vae, VaeConfig

SMALL: dict[str, Any] = {
    "resolution": 32,
    "channels": 32,
    "encoder_channels": 16,
    "latent_dim": 6,
    "width": 16,
    "class_dim": 4,
    "components": 3,
}


def model(classes: int = 0, **changes: Any) -> Vae:
    torch.manual_seed(0)
    return Vae(VaeConfig(**{**SMALL, **changes}), classes).eval()


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
@pytest.mark.parametrize("classes", [0, 2])
def test_the_encoder_gives_a_posterior_and_has_finite_gradients(resolution: int, classes: int) -> None:
    vae = model(classes, resolution=resolution)
    pictures = torch.rand(2, 3, resolution, resolution) * 2 - 1
    weights = torch.eye(2) if classes else None
    mean, log_variance = vae.encode(pictures, weights)
    assert mean.shape == log_variance.shape == (2, 6)
    rebuilt = vae.synthesis(vae.style(mean + log_variance.exp(), weights))
    (rebuilt - pictures).abs().mean().backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@torch.no_grad()
def test_the_posterior_depends_on_the_class() -> None:
    pictures = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1) * 2 - 1
    mean, _ = model(2).encode(pictures, torch.eye(2))
    assert (mean[0] - mean[1]).abs().max() > 0


@torch.no_grad()
@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_before_the_prior_is_fitted_the_latent_is_the_noise(covariance: str) -> None:
    vae = model(covariance=covariance)
    z = torch.randn(5, 7)
    torch.testing.assert_close(vae.mapping(z), vae.style(z[:, 1:]))


@torch.no_grad()
def test_samples_come_from_the_fitted_prior_of_their_class() -> None:
    vae = model(2)
    means = torch.tensor([[-1.0] * 6, [0.0] * 6, [1.0] * 6])
    weights = torch.tensor([[1.0, 1e-9, 1e-9], [1e-9, 1e-9, 1.0]])
    vae.set_prior(Mixture(weights.log(), means, torch.zeros(3, 6, 6)))
    z = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    classes = torch.eye(2)[[0, 0, 1, 1]]
    torch.testing.assert_close(vae.mapping(z, classes), vae.style(means[[0, 0, 2, 2]], classes))


@torch.no_grad()
def test_a_mix_of_classes_draws_from_both_priors_with_the_mixed_embedding() -> None:
    vae = model(2)
    means = torch.tensor([[-1.0] * 6, [0.0] * 6, [1.0] * 6])
    weights = torch.tensor([[1.0, 1e-9, 1e-9], [1e-9, 1e-9, 1.0]])
    vae.set_prior(Mixture(weights.log(), means, torch.zeros(3, 6, 6)))
    mix = torch.tensor([[0.25, 0.75]]).expand(2, -1)
    z = torch.zeros(2, 7)
    z[:, 0] = torch.tensor([-0.68, -0.67])  # the quantile of 1/4 is −0.674
    torch.testing.assert_close(vae.mapping(z, mix), vae.style(means[[0, 2]], mix))


@torch.no_grad()
def test_the_first_style_composes_and_the_last_one_leaves_the_composition() -> None:
    vae = model()
    z = torch.randn(2, 7, generator=torch.Generator().manual_seed(3))
    w = vae.mapping(z)
    assert w.shape[1] == 4
    own = vae.synthesis(w[:1])
    for layer in range(4):
        mixed = w[:1].clone()
        mixed[:, layer] = w[1, layer]
        assert (vae.synthesis(mixed) - own).abs().max() > 1e-4


def test_log_variance_is_held_between_its_bounds() -> None:
    vae = model()
    assert vae.encoder.head.bias is not None
    vae.encoder.head.bias.data[6:] = torch.tensor([1e6, -1e6] * 3)
    _, log_variance = vae.encode(torch.zeros(1, 3, 32, 32))
    assert log_variance[0].tolist() == [4, -10] * 3


def test_the_prior_starts_uniform_over_its_components() -> None:
    vae = model(2)
    assert vae.prior_log_weights.tolist() == [pytest.approx([-math.log(3)] * 3)] * 2


@pytest.mark.parametrize("change", [{"components": 0}, {"covariance": "round"}, {"channels": 1 << 20}, {"width": 0}])
def test_a_config_out_of_bounds_names_the_field(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        VaeConfig(**change)
