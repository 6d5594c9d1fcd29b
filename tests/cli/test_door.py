"""The door of the command line: one sentence on stderr, exit status 2, and 130 for Ctrl+C."""

from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from studio.cli.door import ManyValues, OneSentenceGroup, spread
from studio.core.errors import StudioError

toy = typer.Typer(cls=OneSentenceGroup, pretty_exceptions_enable=False)


@toy.command(cls=ManyValues)
def carry(
    first: str,
    data: Annotated[list[str] | None, typer.Option()] = None,
    count: Annotated[int, typer.Option(min=1)] = 1,
    loud: Annotated[bool, typer.Option("--loud")] = False,
) -> None:
    """Print what was given."""
    typer.echo(f"{first} {'+'.join(data or [])} {count} {loud}")


@toy.command()
def fail(how: str) -> None:
    """Fail in a given way."""
    raise {"studio": StudioError("Two\nlines of trouble."), "ctrl-c": KeyboardInterrupt(), "bug": ZeroDivisionError()}[
        how
    ]


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(toy, list(args))
    return result.exit_code, result.stdout, result.stderr


def test_a_studio_error_is_one_line_and_status_two() -> None:
    assert run("fail", "studio") == (2, "", "Two lines of trouble.\n")


def test_ctrl_c_ends_with_130_and_no_traceback() -> None:
    assert run("fail", "ctrl-c") == (130, "", "")


def test_a_bug_is_not_dressed_up_as_bad_input() -> None:
    result = CliRunner().invoke(toy, ["fail", "bug"])
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "args",
    [
        ["carry", "x", "--count", "many"],
        ["carry", "x", "--count", "0"],
        ["carry"],
        ["carry", "x", "--wrong"],
        ["dance"],
    ],
)
def test_what_the_parser_refuses_is_one_line_and_status_two(args: list[str]) -> None:
    status, out, err = run(*args)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "Usage" not in err


def test_help_is_no_error() -> None:
    status, out, err = run("carry", "--help")
    assert (status, err) == (0, "")
    assert "--data" in out


@pytest.mark.parametrize(
    "args",
    [["--data", "a", "b", "--loud"], ["--data", "a", "--data", "b", "--loud"], ["--data=a", "b", "--loud"]],
)
def test_a_repeatable_option_takes_values_in_a_row(args: list[str]) -> None:
    assert run("carry", "x", *args) == (0, "x a+b 1 True\n", "")


@given(st.lists(st.sampled_from(["a", "b", "--loud", "--data", "--count", "-"])))
def test_spreading_leaves_no_two_values_without_their_option(args: list[str]) -> None:
    result = spread(args, {"--data"})
    values = [word for word in args if word in {"a", "b", "-"}]
    assert [word for word in result if word in {"a", "b", "-"}] == values
    assert spread([word for word in args if word != "--data"], {"--data"}) == [
        word for word in args if word != "--data"
    ]
