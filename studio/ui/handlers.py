"""Between gradio and the jobs of a tab: values go in by name, views come out by name, errors become notices.

A handler is a generator. Its parameters name the components that it reads; what it yields is a view, a mapping from
names of components to what they shall show. A parameter called ``event`` receives what the page sent with the event.
"""

import inspect
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from html import escape
from typing import Any, TypeAlias

import gradio as gr

from studio.core.errors import StudioError
from studio.core.progress import Progress

View: TypeAlias = dict[str, Any]
Parts: TypeAlias = Mapping[str, Any]
Raw: TypeAlias = Any
"""A value as the page or a stranger sends it; the engine's requests validate it."""
Handler: TypeAlias = Callable[..., Iterator[View]]

LIVE: dict[str, Any] = {"concurrency_id": "live", "concurrency_limit": 4, "trigger_mode": "always_last"}
WORK: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 4, "trigger_mode": "multiple"}
FILM: dict[str, Any] = {"concurrency_id": "film", "concurrency_limit": 2}
STUMBLED = "The studio stumbled over this; the log of the server says why. Nothing of yours is lost."
_log = logging.getLogger(__name__)


class Turns:
    """Of a session's jobs that fill the same place only the newest goes on. Lives in the session's state."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def take(self, *places: str) -> Callable[[], bool]:
        """Claim places. → whether the claim still holds for all of them."""
        for place in places:
            self._numbers[place] = self._numbers.get(place, 0) + 1
        return self.watch(*places)

    def watch(self, *places: str) -> Callable[[], bool]:
        """→ whether nobody has claimed one of the places since."""
        numbers = {place: self._numbers.get(place, 0) for place in places}
        return lambda: all(self._numbers.get(place, 0) == number for place, number in numbers.items())

    def __deepcopy__(self, memo: object) -> "Turns":
        return Turns()  # a session's own


def connect(
    trigger: Any,
    handler: Handler,
    parts: Parts,
    outputs: str,
    *,
    prefix: str = "",
    place: str = "",
    spared: tuple[str, str] = ("", ""),
    **options: Any,
) -> Any:
    """Let an event run a handler. outputs: the names of what it may show, with spaces between. → the dependency.

    prefix: of the parts' names that belong to the handler's tab; a part without it belongs to the whole page.
    place: what the handler fills, names with spaces between; it ends where a newer one has begun to fill the same.
    spared: a place, and outputs that the handler leaves alone where another has filled that place since it began.
    """

    def part(name: str) -> Any:
        return parts[prefix + name] if prefix + name in parts else parts[name]

    names = [name for name in inspect.signature(handler).parameters if name != "event"]
    shown = {name: part(name) for name in outputs.split()}
    options = {"show_progress": "hidden", "api_visibility": "private", **options}
    return trigger(
        fn=_for_gradio(handler, names, shown, tuple(place.split()), spared),
        inputs=[parts["turns"], *(part(name) for name in names)],
        outputs=list(shown.values()),
        **options,
    )


def _for_gradio(
    handler: Handler, names: list[str], shown: Parts, places: tuple[str, ...], spared: tuple[str, str]
) -> Callable[..., Iterator[dict[Any, Any]]]:
    """The handler with values by position and components as keys."""

    spared_place, spared_names = spared[0], frozenset(spared[1].split())

    def views(turns: Turns, given: dict[str, Any]) -> Iterator[dict[Any, Any]]:
        ours: Callable[[], bool] | None = None
        untouched = turns.watch(spared_place)
        # Gradio sends a generator's last item again at its end, and empties every output where there was none.
        nothing = {next(iter(shown.values())): gr.skip()}
        try:
            with closing(handler(**given)) as steps:  # type: ignore[type-var]  # a generator, as the docstring says
                for view in steps:
                    ours = ours or turns.take(*places)
                    if not ours():
                        yield nothing
                        return
                    left = frozenset() if untouched() else spared_names
                    yield {shown[name]: value for name, value in view.items() if name not in left} or nothing
            if ours is None:
                yield nothing
        except StudioError as error:
            raise notice(error) from None
        except Exception:
            _log.exception("A handler of the page failed.")
            raise gr.Error(STUMBLED, print_exception=False) from None

    def plain(turns: Turns, *values: Any) -> Iterator[dict[Any, Any]]:
        yield from views(turns, dict(zip(names, values, strict=True)))

    def with_event(event: gr.EventData, turns: Turns, *values: Any) -> Iterator[dict[Any, Any]]:
        sent = event._data if isinstance(event._data, dict) else {}
        yield from views(turns, {**dict(zip(names, values, strict=True)), "event": sent})

    return with_event if "event" in inspect.signature(handler).parameters else plain


def notice(error: StudioError) -> gr.Error:
    """A refusal as the page shows it: one sentence."""
    return gr.Error(escape(str(error)), duration=8, print_exception=False)


def status(text: str = "", progress: Progress[Any] | None = None) -> str:
    """The line that says what the studio does, with a bar while it does it."""
    if progress is None or progress.result is not None or not progress.total:
        return f'<p class="status" role="status">{escape(text)}</p>'
    return (
        f'<p class="status busy" role="status">{escape(text)} {progress.step} of {progress.total}'
        f'<progress max="{progress.total}" value="{progress.step}"></progress></p>'
    )


def read_seed(text: Raw) -> Raw:
    """The number in a field for seeds; what is none goes on as it is, to be refused with a sentence."""
    digits = str(text or "").strip()
    return int(digits) if re.fullmatch(r"-?[0-9]{1,30}", digits) else digits


def roll() -> int:
    """A seed by chance, short enough to be noted down."""
    return secrets.randbelow(10**6)
