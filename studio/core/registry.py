"""Tables of named things: one lookup, one error that lists the known names."""

import importlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from studio.core.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from name to thing.

    what: how errors call an entry ("activation"). populate: packages whose import fills the table, imported at the
    first lookup, so that a low layer can hold a table which higher layers fill.
    """

    def __init__(self, what: str, populate: str | tuple[str, ...] | None = None) -> None:
        self.what = what
        self._populate = populate
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Register an entry; a name is taken once."""
        if name in self._entries:
            raise ValueError(f"{self.what} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of ``add``."""
        return lambda entry: self.add(name, entry)

    def _fill(self) -> None:
        if self._populate is not None:
            modules, self._populate = self._populate, None
            for module in (modules,) if isinstance(modules, str) else modules:
                importlib.import_module(module)

    def __getitem__(self, name: str) -> T:
        self._fill()
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UnknownName(self.what, name, self.names()) from None

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> tuple[str, ...]:
        """Registered names, in order of registration."""
        self._fill()
        return tuple(self._entries)
