"""The critic that is shipped: it opens, is small, knows the genres, and shares no features with the generators."""

from pathlib import Path

import pytest
from PIL import Image

from studio.core import checkpoint
from studio.engine import Engine
from studio.evaluation.critic import open_critic, shared_eyes
from studio.evaluation.features import training_features
from studio.settings import Settings

SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"
GENRES = ("cityscape", "genre-scene", "landscape", "portrait", "religious", "seascape", "still-life", "ukiyo-e")


@pytest.fixture(autouse=True)
def real_kinds() -> None:
    """The critic needs the real table of kinds."""


def test_the_shipped_critic_knows_the_genres_and_is_under_ten_megabytes() -> None:
    opened = checkpoint.load(SHIPPED / "classifier.safetensors")
    assert (opened.kind, opened.classes) == ("classifier", GENRES)
    assert opened.size < 10_000_000
    assert opened.path.with_suffix(".md").is_file()


@pytest.mark.parametrize("generator", ["paintings", "paintings-vae"])
def test_it_may_judge_the_shipped_generators_with_classes(generator: str) -> None:
    critic = open_critic(checkpoint.load(SHIPPED / "classifier.safetensors"))
    model = checkpoint.load(SHIPPED / f"{generator}.safetensors")
    assert set(model.classes) <= set(critic.classes)
    assert shared_eyes(critic, training_features(model.provenance)) == ()


def test_the_engine_asks_it(tmp_path: Path) -> None:
    found = Engine(Settings(home=tmp_path, checkpoints=SHIPPED, device="cpu")).classify(Image.new("RGB", (64, 48)))
    assert set(found) == set(GENRES)
    assert sum(found.values()) == pytest.approx(1)
