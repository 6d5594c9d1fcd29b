"""``studio serve`` hands its options to the page, which it finds at run time."""

from typing import Any

import pytest


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each page served, instead of a page."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("studio.ui.app.serve", lambda **options: calls.append(options))
    monkeypatch.delenv("STUDIO_AUTH", raising=False)
    return calls


def test_without_options_the_page_decides(studio, served: list[dict[str, Any]]) -> None:
    assert studio("serve").status == 0
    assert served == [{"host": None, "port": None, "share": False, "profile": None, "auth": None, "opened": None}]


def test_options_reach_the_page(studio, served: list[dict[str, Any]]) -> None:
    studio("serve", "--host", "0.0.0.0", "--port", 7999, "--share", "--profile", "public", "--auth", "ada:love:lace")
    options = {"host": "0.0.0.0", "port": 7999, "share": True, "profile": "public", "auth": "ada:love:lace"}
    assert served == [options | {"opened": None}]


def test_a_login_can_come_from_the_environment(studio, served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_AUTH", "ada:lovelace")
    studio("serve")
    assert served[0]["auth"] == "ada:lovelace"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--port", "0"], "--port"),
        (["--port", "a-door"], "--port"),
        (["--auth", "nobody"], "user:password"),
        (["--profile", "secret"], "local, public"),
    ],
)
def test_bad_input_is_one_sentence(studio, library, args: list[str], says: str) -> None:
    assert says in studio("serve", *args).sentence
