"""The picture on the stage, enlarged when nothing moves: what the handlers show, and when they show nothing."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from adapting import save_base
from PIL import Image
from upscaled import write_upscaler

from studio.engine import Engine, Seeded
from studio.settings import Settings
from studio.ui import large
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.handlers import View

SEVEN = Seeded(seed=7)
MIXTURE = {"weights": {"landscape": 1.0}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A shelf with "paintings" alone."""
    home = tmp_path_factory.mktemp("plain")
    save_base(home / "checkpoints" / "paintings.safetensors")
    return Settings(home=home, checkpoints=home / "checkpoints", device="cpu", threads=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A shelf with "paintings" and an upscaler."""
    home = tmp_path_factory.mktemp("large")
    save_base(home / "checkpoints" / "paintings.safetensors")
    write_upscaler(home / "checkpoints" / "upscaler.safetensors")
    return Settings(home=home, checkpoints=home / "checkpoints", device="cpu", threads=1)


def side(view: View) -> int:
    """Px of the picture in a stage's HTML."""
    found = re.search(r"base64,([^\"]+)", view["stage"])
    assert found is not None
    return Image.open(io.BytesIO(base64.b64decode(found[1]))).width


def test_the_stage_is_claimed_first_and_filled_then(settings: Settings) -> None:
    engine = Engine(settings)
    explored = list(ExploreJobs(engine).large("paintings", SEVEN, 0.8, 1.0))
    mixed = list(ClassesJobs(engine).large("paintings", "7", MIXTURE, 0.8, 1.0))
    for views in (explored, mixed):
        assert views[0] == {}
        assert side(views[1]) == large.STAGE
        assert len(views) == 2


def test_nothing_is_shown_where_there_is_nothing_to_show(settings: Settings, plain: Settings) -> None:
    for one in (plain, replace(settings, max_size=large.STAGE - 1)):
        engine = Engine(one)
        assert large.stage_size(engine, "paintings") is None
        assert list(ExploreJobs(engine).large("paintings", SEVEN, 0.8, 1.0)) == []
    engine = Engine(settings)
    assert list(ExploreJobs(engine).large("paintings", None, 0.8, 1.0)) == []
    assert list(ClassesJobs(engine).large("paintings", "7", {"weights": {}}, 0.8, 1.0)) == []
    assert list(ClassesJobs(engine).large(None, "7", MIXTURE, 0.8, 1.0)) == []


def test_a_download_is_as_large_as_the_stage_unless_another_size_is_chosen(settings: Settings, plain: Settings) -> None:
    assert large.size_choice(Engine(settings)).value == large.STAGE
    assert large.size_choice(Engine(plain)).value == 0
    assert [size for _, size in large.sizes(replace(plain, max_size=600))] == [0, 256, 512]


@pytest.mark.parametrize(("size", "shown"), [(512, 512), (None, 0), (300, 0), (4096, 0)])
def test_a_recipe_s_size_is_one_of_the_choices_or_the_model_s_own(
    plain: Settings, size: int | None, shown: int
) -> None:
    assert large.offered(size, plain) == shown


def test_what_cannot_be_used_as_an_upscaler_is_told_of(settings: Settings, tmp_path: Path) -> None:
    save_base(tmp_path / "paintings.safetensors")
    save_base(tmp_path / "upscaler.safetensors")
    engine = Engine(replace(settings, checkpoints=tmp_path))
    with pytest.raises(Exception, match="is no upscaler"):
        list(ExploreJobs(engine).large("paintings", SEVEN, 0.8, 1.0))
