"""The metric: exact where the teacher is linear in the student's features."""

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.style.encoder import EncoderConfig, Perception, StyleEncoder
from studio.style.losses import gram, relative
from studio.training.metric import fitted_metric

CONFIG = EncoderConfig((4, 4, 4, 4, 4), (1, 1, 1, 1, 1), metric=True)


def pictures(count: int, seed: int) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def student() -> StyleEncoder:
    torch.manual_seed(0)
    return StyleEncoder(CONFIG).eval()


def lifted(network: StyleEncoder) -> list[Tensor]:
    """Matrices to 9 channels of a teacher, one for each map."""
    return [torch.randn(9, 4, generator=torch.Generator().manual_seed(index)) for index in range(5)]


@torch.no_grad()
def test_gram_distances_under_the_metric_are_those_of_the_teacher() -> None:
    network = student()
    ways = lifted(network)

    def teacher(x: Tensor) -> list[Tensor]:
        return [F.conv2d(maps, way[:, :, None, None]) for maps, way in zip(network(x), ways, strict=True)]

    for index, root in enumerate(fitted_metric(network, teacher, pictures(24, 1), 7)):
        network.get_buffer(f"metric{index}").copy_(root)
    seen = pictures(2, 2)
    for mine, theirs in zip(Perception(network)(seen), teacher(seen), strict=True):
        found, wanted = (relative(gram(x)[:1], gram(x)[1:]) for x in (mine, theirs))
        torch.testing.assert_close(found, wanted, rtol=0.05, atol=1e-4)


@torch.no_grad()
def test_maps_under_the_metric_have_a_mean_square_of_one() -> None:
    network, seen = student(), pictures(24, 1)
    roots = fitted_metric(network, lambda x: [3 * maps for maps in network(x)], seen, 24)
    for index, root in enumerate(roots):
        network.get_buffer(f"metric{index}").copy_(root)
        assert torch.equal(root, root.T) or torch.allclose(root, root.T, atol=1e-5)
    for maps in Perception(network)(seen):
        torch.testing.assert_close(maps.square().mean(), torch.tensor(1.0), rtol=1e-3, atol=0)


@torch.no_grad()
def test_without_a_metric_perception_is_the_encoder() -> None:
    torch.manual_seed(0)
    network, x = StyleEncoder(EncoderConfig((4, 4, 4, 4, 4), (1, 1, 1, 1, 1))), pictures(1, 0)
    assert all(torch.equal(a, b) for a, b in zip(Perception(network)(x), network(x), strict=True))
