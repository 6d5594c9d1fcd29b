"""Progress, the form of every long job."""

from collections.abc import Iterator

import pytest

from studio.core.errors import StudioError
from studio.core.progress import Progress, result_of


def counting(to: int) -> Iterator[Progress[str]]:
    for step in range(to):
        yield Progress(step, to)
    yield Progress(to, to, result="done")


def test_the_last_item_carries_the_result() -> None:
    assert result_of(counting(3)) == "done"


def test_a_job_without_a_result_is_an_error() -> None:
    with pytest.raises(StudioError, match="without a result"):
        result_of([Progress[str](0, 2), Progress[str](1, 2)])
    with pytest.raises(StudioError, match="without a result"):
        result_of(iter([]))


@pytest.mark.parametrize("result", [0, "", False])
def test_a_result_may_be_falsy(result: object) -> None:
    assert result_of([Progress(1, 1, result=result)]) == result


@pytest.mark.parametrize(
    ("step", "total", "fraction"), [(0, 4, 0.0), (1, 4, 0.25), (4, 4, 1.0), (9, 4, 1.0), (3, None, None), (0, 0, None)]
)
def test_fraction(step: int, total: int | None, fraction: float | None) -> None:
    assert Progress[None](step, total).fraction == fraction


def test_closing_a_job_cancels_it() -> None:
    ended = []

    def job() -> Iterator[Progress[None]]:
        try:
            yield Progress(0, 2)
            yield Progress(1, 2)
        finally:
            ended.append(True)

    running = job()
    next(running)
    running.close()
    assert ended == [True]
    assert list(running) == []
