"""The classifier's shapes, sizes and saliency."""

from pathlib import Path

import pytest
import torch
from critics import TINY, by_colour, tiny, write_classifier

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS
from studio.models.classifier import Classifier, ClassifierConfig, Residual, fitted_size


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(32, 32), (7, 300), (200, 61), (1, 1), (33, 32)])
def test_pictures_of_any_size_have_a_logit_for_each_class(height: int, width: int) -> None:
    assert tiny(5)(noise(2, 3, height, width)).shape == (2, 5)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((128, 128), (128, 128)),
        ((640, 640), (128, 128)),
        ((300, 200), (192, 128)),
        ((200, 300), (128, 192)),
        ((4000, 10), (256, 128)),  # at most twice as long
        ((1, 1), (128, 128)),
    ],
)
def test_the_short_side_is_that_of_training_and_the_long_one_in_proportion(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    assert fitted_size(size, 128) == seen


@torch.no_grad()
def test_probabilities_sum_to_one_and_do_not_know_left_from_right() -> None:
    model, x = tiny(3), noise(4, 3, 32, 48)
    found = model.probabilities(x)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(found, model.probabilities(x.flip(3)))


@torch.no_grad()
def test_a_picture_is_judged_alone_as_in_company() -> None:
    model, x = tiny(3), noise(4, 3, 32, 32)
    torch.testing.assert_close(model.probabilities(x)[2:3], model.probabilities(x[2:3]), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_a_residual_block_begins_as_the_identity() -> None:
    x = noise(2, 16, 4, 4)
    assert torch.equal(Residual(16, 16)(x), x)


@torch.no_grad()
def test_by_colour_says_what_it_was_built_to_say() -> None:
    x = torch.full((1, 3, 32, 32), -1.0)
    x[:, 0] = 0.5  # red: (1 + 0.5)/2 = 0.75 beside blue 0; mean and maximum, but only the mean is weighed, 20 times
    torch.testing.assert_close(by_colour()(x), torch.tensor([[0.0, 15.0]]))


def test_saliency_lies_where_the_class_is() -> None:
    x = torch.full((1, 3, 32, 64), -1.0)
    x[:, 0, :, 48:] = 1  # red on the right quarter
    heat = by_colour().saliency(x, 1)
    assert heat.shape == (2, 4)
    torch.testing.assert_close(heat / heat.max(), torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 1]]))
    assert by_colour().saliency(x, 0).max() == 0, "there is no blue"


def test_saliency_leaves_no_gradient_behind() -> None:
    model = tiny()
    model.saliency(noise(1, 3, 32, 32), 0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_gradients_reach_every_weight_that_is_not_held_back() -> None:
    model = tiny().train()
    torch.nn.init.normal_(model.top[0].second.weight)  # type: ignore[union-attr, arg-type]
    model(noise(2, 3, 32, 32)).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_a_saved_classifier_comes_back_and_is_no_generator(tmp_path: Path) -> None:
    opened = checkpoint.load(write_classifier(tmp_path / "c.safetensors"))
    model = opened.build_module()
    assert isinstance(model, Classifier)
    assert not model.training
    with pytest.raises(CheckpointError, match="paints no pictures"):
        opened.build()


def test_the_published_file_stays_under_ten_megabytes() -> None:
    with torch.device("meta"):
        model = MODEL_KINDS["classifier"].build(ClassifierConfig(), 8)
    assert 2 * sum(tensor.numel() for tensor in model.state_dict().values()) < 10_000_000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"resolution": 100}, "resolution is 100; it must be a multiple of 16"),
        ({"resolution": 1024}, "resolution is 1024"),
        ({"widths": (0, 1, 1, 1, 1)}, "widths"),
        ({"depths": (5, 1, 1, 1, 1)}, "depths"),
        ({"top": ()}, "top names 0"),
        ({"top": (20,)}, "top is 20"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_a_config_out_of_bounds_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        ClassifierConfig(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [0, 1])
def test_one_class_cannot_be_told_apart(classes: int) -> None:
    with pytest.raises(InvalidRequest, match="at least 2 classes"):
        MODEL_KINDS["classifier"].build(TINY, classes)
