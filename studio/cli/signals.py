"""Asked to stop: the first SIGINT or SIGTERM is noted, so that a job can end in order; the second one acts as ever."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

LISTENED = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """A context in which the first signal only sets `received`."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def status(self) -> int:
        """The exit status that tells of the signal: 130 for SIGINT, 143 for SIGTERM; 0 without one."""
        return 0 if self.received is None else 128 + self.received

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in LISTENED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
