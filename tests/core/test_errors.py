"""Errors are sentences."""

import inspect

import pytest

from studio.core import errors
from studio.core.errors import StudioError, UnknownName

ALL = [entry for _, entry in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_a_studio_error_with_a_docstring(error: type[Exception]) -> None:
    assert issubclass(error, StudioError)
    assert error.__doc__


def test_an_unknown_name_lists_the_known_ones() -> None:
    error = UnknownName("activation", "swoosh", ("relu", "tanh"))
    assert str(error) == "Unknown activation 'swoosh'; known: relu, tanh."
    assert (error.name, error.known) == ("swoosh", ("relu", "tanh"))


def test_an_empty_table_says_so() -> None:
    assert str(UnknownName("model", "x", ())) == "Unknown model 'x'; known: none is registered."


def test_a_long_name_is_cut() -> None:
    assert len(str(UnknownName("model", "x" * 10_000, ("a",)))) < 130
