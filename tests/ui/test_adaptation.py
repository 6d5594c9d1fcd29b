"""The Adaptation slider: it reaches every job of Explore and Classes, and a dropped picture sets it again."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adapting import MINE, OLD, save_adapter, save_base

from studio.core.images import read_recipe
from studio.engine import Engine, Pictures, Seeded, WalkRequest
from studio.settings import Settings
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore import adaptation_slider
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.film import FilmJobs
from studio.ui.handlers import View
from studio.ui.opening import OpeningJobs
from studio.ui.pictures import Card
from studio.ui.pictures import stage as shown
from studio.ui.style_jobs import StyleJobs
from studio.ui.style_opening import StyleOpening

MIXTURE = {"weights": {MINE: 1.0}}
SEVEN = Seeded(seed=7, classes={MINE: 1.0})


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine with "paintings" and its adapter "hand"."""
    home = tmp_path_factory.mktemp("adapted")
    base = save_base(home / "checkpoints" / "paintings.safetensors")
    save_adapter(home / "models" / "hand.safetensors", base)
    return Engine(Settings(home=home, checkpoints=home / "checkpoints", device="cpu", threads=1))


@pytest.fixture
def opening(studio: Engine) -> OpeningJobs:
    seeing, mixing = ExploreJobs(studio), ClassesJobs(studio)
    return OpeningJobs(studio, seeing, mixing, StyleOpening(StyleJobs(studio), seeing, mixing))


def expected(studio: Engine, strength: float) -> str:
    """The picture of seed 7 on the stage."""
    return shown(Card.of(studio.render("hand", SEVEN, adaptation=strength)))


def last(views: Iterator[View]) -> View:
    """What the page shows in the end."""
    merged: View = {}
    for view in views:
        merged |= view
    return merged


def sent(view: View) -> dict[str, Any]:
    """The recipe in the PNG that is handed to the browser."""
    data = view["outbox"]["href"].removeprefix("data:image/png;base64,")
    recipe = read_recipe(io.BytesIO(base64.b64decode(data)))
    assert recipe is not None
    return recipe


def test_the_current_picture_follows_the_slider(studio: Engine) -> None:
    jobs = ExploreJobs(studio)
    stages = {s: last(jobs.live("hand", SEVEN, 0.8, s, 0.3, ["fine"]))["stage"] for s in (0.0, 0.5, 1.0, 2.0)}
    assert stages == {s: expected(studio, s) for s in stages}
    assert len(set(stages.values())) == 4


def test_the_wall_and_everything_on_it_have_the_same_strength(studio: Engine) -> None:
    jobs = ExploreJobs(studio)
    view = last(jobs.repaint("hand", "7", 2, 0.8, 0.5, MINE, None, ()))
    assert view["stage"] == expected(studio, 0.5)
    settled = last(jobs.settle("hand", view["wall"], SEVEN, 0.8, 1.5, 0.3, [], (), ()))
    image = expected(studio, 1.5).split('src="')[1].split('"')[0]
    assert image in settled["wall_view"]
    assert image not in view["wall_view"]


def test_a_download_carries_the_strength_and_a_drop_restores_it(
    studio: Engine, opening: OpeningJobs, tmp_path: Path
) -> None:
    studio.render("hand", 7, adaptation=1.3).save(tmp_path / "a.png")
    view = last(opening.restore(None, str(tmp_path / "a.png"), "explore", "paintings", {}, (), (), {}, (), ()))  # type: ignore[arg-type]
    assert (view["model"], view["adaptation"], view["seed"]) == ("hand", 1.3, "0")
    assert view["stage"] == expected(studio, 1.3)
    made = last(ExploreJobs(studio).download("hand", SEVEN, "7", 1, 0.8, 0.6, MINE, None, 0, True))
    assert sent(made)["request"]["adaptation"] == 0.6


def test_a_dropped_sheet_of_classes_restores_it_too(studio: Engine, opening: OpeningJobs, tmp_path: Path) -> None:
    jobs = ClassesJobs(studio)
    recipe = sent(last(jobs.download_grid("hand", "3", 1, 0.8, 0.4, True)))
    assert recipe["request"]["adaptation"] == 0.4
    restored = studio.restore(recipe)
    view = last(opening._to_classes(restored.request, restored.picture, {}))  # type: ignore[arg-type]
    assert view["class_adaptation"] == 0.4


def test_the_picture_of_a_mixture_follows_the_slider(studio: Engine) -> None:
    jobs = ClassesJobs(studio)
    for strength in (0.0, 0.7):
        assert last(jobs.live("hand", "7", MIXTURE, 0.8, strength))["stage"] == expected(studio, strength)
        assert last(jobs.repaint("hand", "7", 1, 0.8, strength, MIXTURE))["stage"] == expected(studio, strength)


def test_a_walk_has_the_strength_of_the_slider(studio: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[WalkRequest] = []
    monkeypatch.setattr(FilmJobs, "film", lambda self, request: iter([asked.append(request)]))
    jobs, film = FilmJobs(studio), (4, 10, "gif", 0, "w", True)
    card = Card.of(studio.render("hand", SEVEN))
    list(jobs.through_pictures("hand", (card, card), 0.8, 1.4, *film))
    list(jobs.through_classes("hand", list(OLD), "7", 0.8, 0.2, *film))
    assert [request.adaptation for request in asked] == [1.4, 0.2]


def test_another_model_begins_at_1(opening: OpeningJobs, studio: Engine) -> None:
    for model, classes in (("hand", [MINE, *reversed(OLD)]), ("paintings", ["", *OLD])):
        view = last(opening.choose(model, None, {}, (), (), "7", 1, 0.8))
        assert (view["adaptation"], view["class_adaptation"]) == (1.0, 1.0)
        assert [value for _, value in view["kind"].choices][:-1] == classes
    assert studio.info("hand").classes[-1] == MINE


def test_a_picture_goes_to_the_style_tab_as_it_is_shown(opening: OpeningJobs, studio: Engine) -> None:
    made = opening.style._explored("hand", SEVEN, 0.8, 0.5)[0], opening.style._mixed("hand", "7", MIXTURE, 0.8, 0.5)[0]
    one = studio.render("hand", SEVEN, adaptation=0.5).image
    assert {image.tobytes() for image in made} == {one.tobytes()}
    assert Pictures().add(one)


def test_the_slider_goes_from_0_to_2_and_stands_at_1() -> None:
    slider = adaptation_slider("settle")
    assert (slider.minimum, slider.maximum, slider.value) == (0, 2, 1.0)
    assert slider.elem_classes == ["rest-settle adaptation"]
