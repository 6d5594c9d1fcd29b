"""DCGAN: widths by hand, every activation in both networks, folded batch norm, the projection."""

import pytest
import torch
import torch.nn.functional as F

from studio.core.activations import ACTIVATIONS
from studio.core.errors import InvalidRequest, UnknownName
from studio.models.dcgan import Dcgan, DcganConfig, DcganDiscriminator, up_block

SMALL = {"resolution": 32, "channels": 32, "latent_dim": 8, "class_dim": 4}


def test_widths_halve_from_the_4_pixel_map_to_half_the_resolution() -> None:
    assert DcganConfig(resolution=64, channels=512).widths == (512, 256, 128, 64)
    assert DcganConfig(resolution=256, channels=64).widths == (64, 32, 16, 8, 8, 8)


def test_the_networks_of_the_paper_have_its_number_of_parameters() -> None:
    generator = Dcgan(DcganConfig(resolution=64, channels=1024, latent_dim=100))
    convolutions = 100 * 1024 + 1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3
    norms = 2 * (1024 + 512 + 256 + 128)
    assert sum(p.numel() for p in generator.parameters()) == 16 * convolutions + norms + 3


def test_w_is_the_noise_beside_the_class() -> None:
    model = Dcgan(DcganConfig(**SMALL), class_count=2)
    z, weights = torch.randn(3, 8), torch.tensor([[1.0, 0], [0, 1], [0.5, 0.5]])
    w = model.mapping(z, weights)
    assert w.shape == (3, 1, 12)
    assert torch.equal(w[:, 0, :8], z)
    torch.testing.assert_close(w[2, 0, 8:], (w[0, 0, 8:] + w[1, 0, 8:]) / 2)


@torch.no_grad()
def test_weights_start_as_in_the_paper() -> None:
    torch.manual_seed(0)
    for network in (Dcgan(DcganConfig(), 3), DcganDiscriminator(DcganConfig(), 3)):
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and module.weight.numel() > 10_000:
                assert float(module.weight.mean().abs()) < 1e-3
                assert float(module.weight.std()) == pytest.approx(0.02, rel=0.05)
            if isinstance(module, torch.nn.BatchNorm2d):
                assert float(module.weight.mean()) == pytest.approx(1, abs=0.02)
                assert not module.bias.any()


@pytest.mark.parametrize("name", ACTIVATIONS.names())
@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_every_activation_trains_in_either_network(side: str, name: str) -> None:
    torch.manual_seed(0)
    config = DcganConfig(**SMALL, **{f"{side}_activation": name})
    generator, discriminator = Dcgan(config, 2), DcganDiscriminator(config, 2)
    weights = torch.eye(2)[[0, 1, 0, 1]]
    real, z = torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(4, 8)
    fake = generator(z, weights)
    loss = F.softplus(-discriminator(fake, weights)).mean() + F.softplus(-discriminator(real, weights)).mean()
    loss.backward()
    for network in (generator, discriminator):
        for parameter_name, parameter in network.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name
            assert parameter.grad.abs().max() > 0, parameter_name
    kind = type(ACTIVATIONS[name]())
    chosen = generator if side == "generator" else discriminator
    assert any(type(module) is kind for module in chosen.modules())


def test_activations_by_depth_share_the_blocks_in_the_order_of_computation() -> None:
    config = DcganConfig(resolution=64, generator_activation="relu,prelu", discriminator_activation="tanh,elu,silu")
    assert config.by_depth("relu,prelu") == ("relu", "relu", "prelu", "prelu")
    assert config.by_depth("tanh,elu,silu") == ("tanh", "tanh", "elu", "silu")
    assert [type(block[2]).__name__ for block in Dcgan(config).blocks] == ["ReLU", "ReLU", "PReLU", "PReLU"]
    assert [type(block[2]).__name__ for block in DcganDiscriminator(config).blocks] == ["Tanh", "Tanh", "ELU", "SiLU"]


def test_more_activations_than_blocks_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="names 4 activations for 3 blocks"):
        DcganConfig(resolution=32, generator_activation="relu,elu,relu,elu")


def test_an_unknown_activation_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"swish.*sigmoid, tanh, relu"):
        DcganConfig(discriminator_activation="swish")


@torch.no_grad()
def test_folding_takes_every_norm_away_and_leaves_the_pictures() -> None:
    torch.manual_seed(0)
    model = Dcgan(DcganConfig(**SMALL), class_count=2)
    weights = torch.eye(2)[[0, 1, 0, 1]]
    for _ in range(5):
        model(torch.randn(4, 8), weights)
    model.eval()
    z = torch.randn(4, 8)
    before = model(z, weights)
    model.optimise_()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert (model(z, weights) - before).abs().max() < 1e-4
    model.optimise_()  # a second call finds nothing to fold
    assert (model(z, weights) - before).abs().max() < 1e-4


@torch.no_grad()
def test_a_folded_block_computes_the_batch_norm_formula() -> None:
    block = up_block(1, 1, "relu").eval()
    block[0].weight.fill_(1.0)
    block[1].running_mean.fill_(1.0)
    block[1].running_var.fill_(4.0 - block[1].eps)
    block[1].weight.fill_(6.0)
    block[1].bias.fill_(0.5)
    model = Dcgan(DcganConfig(**SMALL)).eval()
    model.blocks = torch.nn.Sequential(block)
    model.optimise_()
    # Every output pixel of stride 2 and kernel 4 from one input pixel of 3 is 3: (3 − 1) / 2 · 6 + 0.5 = 6.5.
    assert torch.allclose(block(torch.full((1, 1, 1, 1), 3.0)), torch.full((1, 1, 2, 2), 6.5))


@torch.no_grad()
def test_the_projection_adds_the_inner_product_with_the_class() -> None:
    torch.manual_seed(0)
    config = DcganConfig(**SMALL)
    discriminator = DcganDiscriminator(config, 2).eval()
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    assert discriminator.projection.weight is not None
    discriminator.projection.weight.zero_()
    neutral = discriminator(pictures, torch.eye(2))
    discriminator.projection.weight[1] = 1.0
    logits = discriminator(pictures, torch.eye(2))
    pooled = discriminator.blocks(pictures).sum(dim=(1, 2, 3))
    assert logits[0] == neutral[0]
    torch.testing.assert_close(logits[1], neutral[1] + pooled[1])
