"""Soft labels from a teacher's features."""

import dataclasses
from pathlib import Path

import pytest
import torch
from critics import TINY
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest
from studio.core.progress import result_of
from studio.training import classifier as recipe
from studio.training.classifier import ClassifierTraining
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.probe import described, left_out, predicted_by_others, soft_labels
from studio.training.recipe import RECIPES

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Eyes(nn.Module):
    """A teacher whose maps are the colours, four times over; it counts how often it is asked."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, x: Tensor) -> list[Tensor]:
        self.asked += 1
        return [x, x, x[:, :2], x[:, :1]]


def halves(count: int = 40) -> ImageSet:
    """Noise, brighter in class "light"; the last picture's label is wrong."""
    images = torch.randint(0, 100, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(count) % 2
    images[labels == 1] += 100
    labels[-1] = 0
    return ImageSet(images, labels, ("dark", "light"), tuple(map(str, range(count))))


def test_the_closed_form_is_a_regression_of_all_other_rows() -> None:
    x, y, rows, penalty = noise(12, 4), noise(12, 3, seed=1), noise(12, 1, seed=2).square() + 0.1, 0.7
    found = predicted_by_others(x, y, rows, penalty)
    for i in range(12):
        others = torch.arange(12) != i
        a, b, w = x[others], y[others], rows[others]
        by_hand = torch.linalg.solve(a.T @ (a * w) + penalty * torch.eye(4), a.T @ (b * w))
        torch.testing.assert_close(found[i], x[i] @ by_hand)


def test_a_wrong_label_is_found_out_and_rows_are_probabilities() -> None:
    data = halves()
    opinion = left_out(described(Eyes(), data.images, CPU), data.labels, 2)
    torch.testing.assert_close(opinion.sum(dim=1), torch.ones(40))
    expected = data.labels.clone()
    expected[-1] = 1
    assert torch.equal(opinion.argmax(dim=1), expected)


def test_a_picture_and_its_mirror_image_are_described_alike() -> None:
    images = halves(8).images
    torch.testing.assert_close(described(Eyes(), images, CPU), described(Eyes(), images.flip(3), CPU))
    assert described(Eyes(), images, CPU).shape == (8, 3 * (3 + 2 + 1))


def test_opinions_are_kept_for_the_same_pictures_alone(tmp_path: Path) -> None:
    eyes, data, kept = Eyes(), halves(), tmp_path / "teacher.safetensors"
    first = soft_labels(eyes, data, CPU, False, kept)
    asked = eyes.asked
    assert torch.equal(soft_labels(eyes, data, CPU, False, kept), first)
    assert eyes.asked == asked
    assert soft_labels(eyes, data.take(torch.arange(30)), CPU, False, kept).shape == (30, 2)
    assert eyes.asked > asked
    kept.write_bytes(b"broken")
    assert torch.equal(soft_labels(eyes, data, CPU, False, kept), first)


def test_a_classifier_learns_from_a_teacher_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recipe, "Vgg16Teacher", Eyes)
    settings = ClassifierTraining(learning_rate=5e-3, horizon=0, held_out=4, mixup=0, smoothing=0, crop=32)
    settings = dataclasses.replace(settings, teacher="vgg16.safetensors", teacher_share=1.0)
    options = TrainOptions(tmp_path / "c.safetensors", batch=8, images=320, device="cpu", ema_images=16)
    saved = result_of(fit(RECIPES["classifier"], TINY, settings, halves(), options))
    assert saved.provenance["training_features"] == ["vgg16"]
    assert (options.logs / "teacher.safetensors").exists()
    model, data = saved.build_module(), halves()
    found = model.probabilities(data.images.float().div(127.5).sub(1))  # type: ignore[operator]
    assert found[-1].argmax() == 1, "the teacher alone was believed"


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="teacher_share"):
        ClassifierTraining(teacher_share=1.5)
