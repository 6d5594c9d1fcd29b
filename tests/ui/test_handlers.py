"""Between gradio and the jobs: names to positions, errors to notices, and the newest job wins."""

import copy
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.ui import handlers
from studio.ui.handlers import Turns, View, connect, read_seed, status

PARTS = {"a": "A", "tab_a": "TAB A", "b": "B", "turns": "TURNS"}


def _wired(handler: Any, outputs: str, **options: Any) -> dict[str, Any]:
    """What gradio is given."""
    given: dict[str, Any] = connect(lambda **values: values, handler, PARTS, outputs, **options)
    return given


def test_values_and_views_go_by_name() -> None:
    def handler(b: int, a: int) -> Iterator[View]:
        yield {"a": a + b}
        yield {"b": a * b, "a": b}

    wired = _wired(handler, "a b")
    assert wired["inputs"] == ["TURNS", "B", "A"]
    assert wired["outputs"] == ["A", "B"]
    assert list(wired["fn"](Turns(), 3, 4)) == [{"A": 7}, {"B": 12, "A": 3}]
    assert wired["api_visibility"] == "private"


def test_a_tab_finds_its_own_parts_first() -> None:
    def handler(a: int, b: int) -> Iterator[View]:
        yield {"a": a, "b": b}

    wired = _wired(handler, "a b", prefix="tab_")
    assert wired["inputs"] == ["TURNS", "TAB A", "B"]
    assert list(wired["fn"](Turns(), 1, 2)) == [{"TAB A": 1, "B": 2}]


def test_what_the_page_sends_with_an_event_is_a_value_too() -> None:
    def handler(event: dict[str, Any], a: int) -> Iterator[View]:
        yield {"a": (event, a)}

    sent = gr.EventData(None, {"key": "k"})
    assert list(_wired(handler, "a")["fn"](sent, Turns(), 5)) == [{"A": ({"key": "k"}, 5)}]
    assert list(_wired(handler, "a")["fn"](gr.EventData(None, "text"), Turns(), 5)) == [{"A": ({}, 5)}]


def test_a_refusal_becomes_a_notice_with_its_sentence_escaped() -> None:
    def handler() -> Iterator[View]:
        raise InvalidRequest("Too <many>.")
        yield {}

    with pytest.raises(gr.Error) as caught:
        list(_wired(handler, "a")["fn"](Turns()))
    assert caught.value.message == "Too &lt;many&gt;."


def test_a_fault_of_ours_says_nothing_about_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    def handler() -> Iterator[View]:
        raise ZeroDivisionError("secret")
        yield {}

    with pytest.raises(gr.Error) as caught:
        list(_wired(handler, "a")["fn"](Turns()))
    assert caught.value.message == handlers.STUMBLED
    assert "secret" in caplog.text


def test_a_handler_that_shows_nothing_leaves_everything_as_it_is() -> None:
    def handler() -> Iterator[View]:
        yield from ()

    assert list(_wired(handler, "a b")["fn"](Turns())) == [{"A": gr.skip()}]


def test_a_job_ends_where_a_newer_one_has_begun_in_its_place() -> None:
    closed = []

    def handler(a: str) -> Iterator[View]:
        try:
            for step in range(3):
                yield {"a": f"{a}{step}"}
        finally:
            closed.append(a)

    turns = Turns()
    run = _wired(handler, "a", place="wall")["fn"]
    elsewhere = _wired(handler, "a", place="grid")["fn"](turns, "x")
    old, new = run(turns, "old"), run(turns, "new")
    assert next(elsewhere) == {"A": "x0"}
    assert next(old) == {"A": "old0"}
    assert next(new) == {"A": "new0"}
    assert list(old) == [{"A": gr.skip()}]
    assert closed == ["old"]
    assert list(new) == [{"A": "new1"}, {"A": "new2"}]
    assert list(elsewhere) == [{"A": "x1"}, {"A": "x2"}]


def test_what_another_has_filled_since_it_began_is_left_alone() -> None:
    def wall(a: str) -> Iterator[View]:
        for step in range(3):
            yield {"a": f"{a}{step}", "b": step}

    def click() -> Iterator[View]:
        yield {"b": "clicked"}

    turns = Turns()
    painting = _wired(wall, "a b", place="wall", spared=("choice", "b"))["fn"]
    clicking = _wired(click, "b", place="stage choice")["fn"]
    first, click_early = painting(turns, "x"), list(clicking(turns))
    assert click_early == [{"B": "clicked"}]
    assert next(first) == {"A": "x0", "B": 0}  # it had not begun when the click came
    assert list(clicking(turns)) == [{"B": "clicked"}]
    assert list(first) == [{"A": "x1"}, {"A": "x2"}]
    assert next(painting(turns, "y")) == {"A": "y0", "B": 0}


def test_a_job_that_fills_two_places_holds_both() -> None:
    turns = Turns()
    holds = turns.take("stage", "choice")
    assert holds()
    turns.take("stage")
    assert not holds()


def test_every_session_has_turns_of_its_own() -> None:
    first = Turns()
    holds = first.take("wall")
    copy.deepcopy(first).take("wall")
    assert holds()


def test_the_status_has_a_bar_while_work_goes_on() -> None:
    assert '<progress max="8" value="3">' in status("Painting", Progress(3, 8))
    assert "<progress" not in status("Done", Progress(8, 8, result=[1]))
    assert "&lt;b&gt;" in status("<b>")


@pytest.mark.parametrize(
    ("text", "value"), [(" 12 ", 12), ("-3", -3), ("seven", "seven"), ("", ""), (None, ""), ("1" * 5000, "1" * 5000)]
)
def test_a_seed_is_read_from_a_field(text: object, value: object) -> None:
    assert read_seed(text) == value
