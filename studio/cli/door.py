"""The command line's door: every mistake leaves as one sentence on stderr and exit status 2, Ctrl+C as 130."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand, TyperGroup

from studio.core.errors import MissingPackage, StudioError

BAD_INPUT = 2
INTERRUPTED = 130
# typer carries its own copy of click from 0.26 on; its parser's errors are reached by inheritance from either.
ParserError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

Json = typer.Option("--json", help="Print one machine-readable line instead of words.")


class OneSentenceGroup(TyperGroup):
    """The root of the verbs: errors that a person can cause become one sentence, whoever raised them."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except StudioError as error:
            status = complain(str(error))
        except ParserError as error:
            status = complain(getattr(error, "format_message", error.__str__)())
        except (typer.Abort, KeyboardInterrupt):
            status = INTERRUPTED
        if standalone_mode:
            raise SystemExit(status if isinstance(status, int) else 0)
        return status


class ManyValues(TyperCommand):
    """A command whose repeatable options also take several values in a row: ``--data a b`` is ``--data a --data b``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names = {name for param in self.params if getattr(param, "multiple", False) for name in param.opts}
        return super().parse_args(ctx, spread(args, names))


def spread(args: Sequence[str], names: set[str]) -> list[str]:
    """Repeat each option of `names` before every value that follows it, up to the next option."""
    result: list[str] = []
    current = ""
    for arg in args:
        if arg.startswith("-") and arg != "-":
            name, equals, value = arg.partition("=")
            current = name if name in names else ""
            result += [name, value] if current and equals else [] if current else [arg]
        else:
            result += [current, arg] if current else [arg]
    return result


def complain(message: str) -> int:
    """Print one sentence on stderr, on one line, and return the exit status of bad input."""
    sentence = " ".join(message.split()) or "The command failed"
    typer.echo(sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.", err=True)
    return BAD_INPUT


def say(as_json: bool, record: Mapping[str, Any], words: str) -> None:
    """Print the outcome: one line of strict JSON for machines, or words for people."""
    typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False) if as_json else words)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports that need an optional set of packages: what is missing becomes one sentence with the remedy."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).startswith("studio"):
            raise  # a fault of ours
        raise MissingPackage(
            f"This needs the package {error.name!r}; install it with: python -m pip install 'atelier-studio[{name}]'."
        ) from error


def bar(quiet: bool, *columns: str, remaining: bool = True) -> Progress:
    """A progress bar on stderr where that is a terminal; further columns are rich templates of the task's fields.

    remaining: with rich's own estimate of the time left.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *(TextColumn(template) for template in columns),
        *([TimeRemainingColumn()] if remaining else []),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    )
