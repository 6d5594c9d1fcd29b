"""Tables of named things."""

import sys
import types

import pytest

from studio.core.errors import UnknownName
from studio.core.registry import Registry


def test_names_come_in_order_of_registration() -> None:
    table: Registry[int] = Registry("number")
    table.add("two", 2)
    table.add("one", 1)
    assert table.names() == ("two", "one") == tuple(table)
    assert table["two"] == 2
    assert "one" in table
    assert "three" not in table


def test_the_decorator_returns_what_it_registers() -> None:
    table: Registry[type] = Registry("class")

    @table.register("it")
    class It:
        pass

    assert table["it"] is It


@pytest.mark.parametrize("name", ["three", None, 3, ["two"], {}])
def test_an_unknown_name_lists_the_known_ones(name: object) -> None:
    table: Registry[int] = Registry("number")
    table.add("two", 2)
    with pytest.raises(UnknownName, match=r"^Unknown number .*; known: two\.$"):
        table[name]  # type: ignore[index]


def test_a_name_is_taken_once() -> None:
    table: Registry[int] = Registry("number")
    table.add("two", 2)
    with pytest.raises(ValueError, match="registered twice"):
        table.add("two", 22)
    assert table["two"] == 2


@pytest.mark.parametrize("look", [lambda t: t["late"], lambda t: "late" in t, lambda t: t.names(), list])
def test_a_table_is_filled_at_the_first_look(look: object, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Registry[int] = Registry("number", populate="a_module_that_fills")
    assert "a_module_that_fills" not in sys.modules

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            if name != "a_module_that_fills":
                return None
            from importlib.machinery import ModuleSpec

            return ModuleSpec(name, Finder)

        @staticmethod
        def create_module(spec: object) -> types.ModuleType:
            return types.ModuleType("a_module_that_fills")

        @staticmethod
        def exec_module(module: object) -> None:
            table.add("late", 7)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    try:
        assert look(table)  # type: ignore[operator]
        assert look(table)  # type: ignore[operator]
        assert table.names() == ("late",)
    finally:
        sys.modules.pop("a_module_that_fills", None)
