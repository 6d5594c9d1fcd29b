"""The models on the shelf, and strips."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.engine import ModelInfo, Seeded
from studio.settings import Settings
from studio.ui import shelf
from studio.ui.pictures import Card, key
from studio.ui.strip import clear, moving, rearranged

CLASSED = ModelInfo(name="many", path=Path(), kind="gan", resolution=64, classes=("a", "b"), layers=3, parameters=10**6)
PLAIN = ModelInfo(name="plain", path=Path(), kind="vae", resolution=128, layers=1)
ADAPTED = dataclasses.replace(CLASSED, name="mine", base="many", classes=("a", "b", "mine"))
BROKEN = ModelInfo(name="<b>", path=Path(), error="It is <broken>.")


def test_the_page_opens_with_the_largest_pictures_that_work() -> None:
    assert shelf.best([BROKEN, CLASSED, PLAIN]) == "plain"
    assert shelf.best([BROKEN]) is None
    assert shelf.best([ADAPTED, CLASSED]) == "many"
    assert shelf.best([ADAPTED]) == "mine"
    measured = replace(CLASSED, name="measured", classes=("a",), metrics={"kid-vgg16": 0.1})
    assert shelf.best([CLASSED, measured]) == "measured"
    assert shelf.usable([BROKEN, CLASSED, PLAIN]) == ["many", "plain"]


def test_a_broken_model_is_a_sentence() -> None:
    assert "It is &lt;broken&gt;." in shelf.broken([CLASSED, BROKEN])
    assert shelf.broken([CLASSED]) == ""


def test_an_empty_shelf_says_what_to_do_but_tells_strangers_no_paths() -> None:
    assert "/my/checkpoints" in shelf.empty(Settings(checkpoints=Path("/my/checkpoints")))
    assert "/my/checkpoints" not in shelf.empty(Settings(checkpoints=Path("/my/checkpoints"), profile="public"))


def test_the_page_knows_what_a_model_can() -> None:
    assert 'data-layers="3" data-classes="2"' in shelf.about(CLASSED)
    assert "1.0 M parameters" in shelf.about(CLASSED)
    carded = ModelInfo(name="c", path=Path(), card="# <script>")
    assert "<script>" not in shelf.about(carded)


def test_the_list_of_classes_has_any_and_the_mixture() -> None:
    assert [value for _, value in shelf.class_choices(CLASSED)] == [shelf.ANY, "a", "b", shelf.MIXTURE]
    assert [value for _, value in shelf.class_choices(PLAIN)] == [shelf.ANY]


def test_an_adapter_begins_with_its_own_class_and_names_its_base() -> None:
    assert [value for _, value in shelf.class_choices(ADAPTED)] == ["mine", "b", "a", shelf.MIXTURE]
    assert shelf.first_choice(ADAPTED) == "mine"
    assert shelf.mixture_of(ADAPTED) == {"weights": {"a": 0.0, "b": 0.0, "mine": 1.0}}
    assert 'data-adapts="1"' in shelf.about(ADAPTED)
    assert "adapted from many" in shelf.about(ADAPTED)
    assert 'data-adapts="0"' in shelf.about(CLASSED)
    assert shelf.first_choice(CLASSED) == shelf.first_choice(PLAIN) == shelf.ANY


@pytest.mark.parametrize(
    ("kind", "weights"),
    [(shelf.ANY, {}), (None, {}), ("b", {"b": 1.0}), (shelf.MIXTURE, {"a": 0.5})],
)
def test_a_choice_means_weights(kind: str | None, weights: dict[str, float]) -> None:
    assert shelf.chosen_weights(kind, {"weights": {"a": 0.5, "b": 0}}) == weights


@pytest.mark.parametrize("mixture", [None, 7, "text", {}, {"weights": None}, {"weights": [1]}])
def test_a_mixture_that_is_none_has_no_weights(mixture: Any) -> None:
    assert shelf.mixture_weights(mixture) == {}


def test_the_mixer_shows_weights_against_the_largest() -> None:
    assert shelf.mixture_of(CLASSED, {"a": 1, "b": 4}) == {"weights": {"a": 0.25, "b": 1.0}}
    assert shelf.mixture_of(CLASSED, {"other": 4}) == {"weights": {"a": 1.0, "b": 0.0}}
    assert shelf.mixture_of(PLAIN) == {"weights": {}}


CARDS = tuple(Card(Seeded(seed=seed), "data:,") for seed in range(3))


@pytest.mark.parametrize(
    ("index", "places", "order"),
    [(2, -1, [0, 2, 1]), (0, 1, [1, 0, 2]), (0, -1, [0, 1, 2]), (2, 1, [0, 1, 2]), (1, 0, [0, 2])],
)
def test_a_picture_of_the_strip_moves_and_leaves(index: int, places: int, order: list[int]) -> None:
    moved = rearranged(CARDS, key(CARDS[index].picture), places)
    assert [CARDS.index(card) for card in moved] == order


def test_a_picture_that_is_not_on_the_strip_moves_nothing() -> None:
    assert rearranged(CARDS, "unknown", 1) == CARDS
    (view,) = moving(0)(event={}, strip=CARDS)
    assert view["strip"] == CARDS
    (view,) = clear()
    assert view["strip"] == ()
    assert "card" not in view["strip_view"]
