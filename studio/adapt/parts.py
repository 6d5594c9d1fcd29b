"""Work in parts: whoever waits for the device waits for one part of it, and not for the whole."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import TypeVar

T = TypeVar("T")
P = TypeVar("P")
Parts = Generator[None, None, T]
"""A piece of work in parts, whose result is what it returns."""


def whole(parts: Parts[T]) -> T:
    """All parts in one go."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value


def each(parts: Parts[T], item: P, context: Callable[[], AbstractContextManager[object]]) -> Generator[P, None, T]:
    """The item after every part but the last. context: each part is done in one of its own."""
    while True:
        with context():
            try:
                next(parts)
            except StopIteration as end:
                return end.value
        yield item
