"""The trial of bfloat16: in a child, whose death is a verdict, and once for a machine."""

import inspect
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from studio.core import bfloat16


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the child answers; every call takes one, an exception is raised."""
    answers: list[Any] = []

    def run(*_: Any, **__: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(bfloat16, "announced", lambda: True)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(bfloat16, "_ask_child", inspect.unwrap(bfloat16._ask_child))  # asked anew in every test
    return answers


def answer(stdout: str, returncode: int = 0) -> SimpleNamespace:
    return SimpleNamespace(stdout=stdout, returncode=returncode)


def test_processor_that_does_not_announce_it_is_not_tried(monkeypatch: pytest.MonkeyPatch, child: list[Any]) -> None:
    monkeypatch.setattr(bfloat16, "announced", lambda: False)
    assert bfloat16.speed_up() == 0


@pytest.mark.parametrize(
    "dead",
    [answer("", -4), answer("3.0", 1), answer("no number"), subprocess.TimeoutExpired("trial", 1), OSError("no fork")],
    ids=["killed", "failed", "garbled", "hung", "not started"],
)
def test_child_that_dies_means_no_bfloat16(child: list[Any], dead: Any) -> None:
    child.append(dead)
    assert bfloat16.speed_up() == 0


def test_verdict_is_kept_and_asked_for_once(child: list[Any], tmp_path: Path) -> None:
    record = tmp_path / "home" / "processor.json"
    child.append(answer("1.75\n"))
    assert bfloat16.speed_up(record) == 1.75
    assert bfloat16.speed_up(record) == 1.75
    assert list(json.loads(record.read_text()).values()) == [1.75]
    assert not child


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": "b"}', "\x00"])
def test_record_that_cannot_be_read_is_written_anew(child: list[Any], tmp_path: Path, text: str) -> None:
    record = tmp_path / "processor.json"
    record.write_text(text)
    child.append(answer("1.25"))
    assert bfloat16.speed_up(record) == 1.25
    assert list(json.loads(record.read_text()).values()) == [1.25]


def test_record_that_cannot_be_written_costs_only_the_trial(child: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    child += [answer("2"), answer("2")]
    for _ in range(2):
        assert bfloat16.speed_up(tmp_path / "file" / "processor.json") == 2


def test_child_comes_to_a_verdict_on_this_machine() -> None:
    """Whatever this processor is: killed by SIGILL, slower or faster, this process learns it and lives."""
    assert 0 <= bfloat16._ask_child() < 100


def test_other_torch_or_processor_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = bfloat16._machine()
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert bfloat16._machine() != here
