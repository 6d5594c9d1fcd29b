"""Turns are given in the order in which they are asked for, and never to two at once."""

import threading
import time

import pytest

from studio.engine.turns import Turns


def wait_until(condition: object) -> None:
    """Until the callable is true, for at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_waiting_threads_come_in_order() -> None:
    turns, order = Turns(), []

    def come(number: int) -> None:
        with turns:
            order.append(number)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(6)]
    with turns:
        for index, thread in enumerate(threads):
            thread.start()
            wait_until(lambda index=index: len(turns._waiting) == index + 1)
    for thread in threads:
        thread.join(10)
    assert order == list(range(6))


def test_a_short_job_slips_between_two_steps_of_a_long_one() -> None:
    turns, steps_before = Turns(), []
    started = threading.Event()

    def short() -> None:
        started.wait(10)
        with turns:
            steps_before.append(done)

    thread = threading.Thread(target=short)
    thread.start()
    done = 0
    while not steps_before and done < 1000:
        with turns:
            started.set()
            wait_until(lambda: turns._waiting or steps_before)
        done += 1
    thread.join(10)
    assert done <= 2  # a threading.Lock goes to the thread that has just released it, hundreds of times
    assert steps_before


def test_only_one_is_inside() -> None:
    turns, inside, most = Turns(), [], []

    def work() -> None:
        for _ in range(50):
            with turns:
                inside.append(1)
                most.append(len(inside))
                time.sleep(0)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 200


def test_an_error_inside_passes_the_turn_on() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns:
        1 / 0  # noqa: B018
    with turns:
        assert turns._taken
    assert not turns._taken
