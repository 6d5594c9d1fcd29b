"""Hypothesis strategies that several test files share."""

from typing import Any

from hypothesis import strategies as st


def mutated(valid: bytes) -> st.SearchStrategy[bytes]:
    """A valid file after up to six edits: bytes set, cut, doubled or inserted, and perhaps the end cut off."""
    place = st.integers(0, max(len(valid) - 1, 0))
    edit = st.one_of(
        st.tuples(st.just("set"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), place, st.integers(1, 64)),
        st.tuples(st.just("double"), place, st.integers(1, 64)),
        st.tuples(st.just("end"), place, st.none()),
    )
    return st.lists(edit, min_size=1, max_size=6).map(lambda edits: _edited(valid, edits))


def _edited(data: bytes, edits: list[tuple[str, int, Any]]) -> bytes:
    for what, place, value in edits:
        head, tail = data[:place], data[place:]
        if what == "set":
            data = head + value + tail[len(value) :]
        elif what == "insert":
            data = head + value + tail
        elif what == "cut":
            data = head + tail[value:]
        elif what == "double":
            data = head + tail[:value] + tail
        else:
            data = head
    return data


def json_values(max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any JSON value of finite numbers, with numbers far out and odd texts among them."""
    numbers = (
        st.integers()
        | st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**30, 1e308, -0.0])
        | st.floats(allow_nan=False, allow_infinity=False)
    )
    leaves = st.none() | st.booleans() | numbers | st.text(max_size=12)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=max_leaves,
    )
