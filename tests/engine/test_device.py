"""The device is found, its workers leave the rest of the process alone, and bfloat16 must earn its place."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from sentences import assert_sentence
from sketch import Sketch, SketchConfig

from studio.core import bfloat16
from studio.core.errors import InvalidRequest
from studio.engine import device
from studio.engine.device import Precision, Workers, choose_device

CPU = torch.device("cpu")


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == CPU


def test_auto_is_a_device_that_is_there() -> None:
    assert choose_device(choose_device("auto").type).type in ("cuda", "mps", "cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:99", "mps"])
def test_a_device_that_is_not_there_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: name == "cuda:99")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidRequest) as refused:
        choose_device(name)
    assert_sentence(refused.value, "STUDIO_DEVICE", repr(name), "cpu")


def test_workers_have_one_torch_thread_each_and_nobody_else_does(four_threads: None) -> None:
    workers = Workers(CPU, 3)
    assert workers.count == 3
    together = threading.Barrier(3)

    def threads_of_a_worker(_: int) -> int:
        together.wait(10)
        torch.ones(1000, 1000).sum()  # work that torch would split
        return torch.get_num_threads()

    assert workers.map(threads_of_a_worker, range(3)) == [1, 1, 1]
    assert (torch.get_num_threads(), fresh_threads()) == (4, 4)
    assert workers.whole(torch.get_num_threads) == 3


def fresh_threads() -> int:
    """Torch's threads in a thread that has not computed yet."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join(10)
    return found[0]


def test_threads_can_be_left_to_the_workers(four_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_threads_before", [])
    device.leave_threads_to_workers()
    device.leave_threads_to_workers()  # a second engine of this process
    workers = Workers(CPU, None)
    assert (workers.count, workers.whole(torch.get_num_threads)) == (4, 4)
    assert (torch.get_num_threads(), fresh_threads()) == (1, 1), "no team but that of the worker"
    assert Workers(CPU, 2).whole(torch.get_num_threads) == 2


def test_torch_says_how_many_workers_there_are_where_the_settings_do_not(four_threads: None) -> None:
    assert Workers(CPU, None).count == 4


def test_results_come_in_order_and_errors_come_through() -> None:
    workers = Workers(CPU, 2)
    assert workers.map(lambda x: x * x, range(20)) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        workers.map(lambda x: 1 // x, [1, 0])
    assert workers.map(lambda x: x, [3]) == [3]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8])
def test_items_are_shared_evenly_and_come_back_in_order(count: int) -> None:
    parts: list[int] = []

    def twice(items: Sequence[int]) -> list[int]:
        parts.append(len(items))
        return [2 * item for item in items]

    assert Workers(CPU, 3).shared(twice, range(count)) == [2 * item for item in range(count)]
    assert len(parts) == min(count, 3)
    assert not parts or max(parts) - min(parts) <= 1


def sketch() -> Sketch:
    return Sketch(SketchConfig(), 0).eval().requires_grad_(False)


@pytest.mark.parametrize(("ratio", "chosen"), [(0.0, False), (1.05, False), (1.6, True)])
def test_processor_computes_in_bfloat16_where_its_trial_was_a_tenth_faster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ratio: float, chosen: bool
) -> None:
    asked: list[Path | None] = []

    def speed_up(record: Path | None) -> float:
        asked.append(record)
        return ratio

    monkeypatch.setattr(bfloat16, "speed_up", speed_up)
    precision = Precision(CPU, tmp_path / "processor.json")
    precision.probe(sketch())
    precision.probe(sketch())
    assert precision.half is chosen
    assert asked == [tmp_path / "processor.json"]  # once for a device


@pytest.mark.parametrize(("full", "half", "chosen"), [(1.0, 0.5, True), (1.0, 0.95, False), (1.0, 1.5, False)])
def test_gpu_is_tried_on_the_first_model(
    monkeypatch: pytest.MonkeyPatch, full: float, half: float, chosen: bool
) -> None:
    monkeypatch.setattr(Precision, "_time", lambda self, job, in_half: half if in_half else full)
    precision = Precision(CPU)
    precision.device = torch.device("cuda")
    precision.probe(sketch())
    assert precision.half is chosen


def test_both_precisions_make_the_same_picture_but_for_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if not bfloat16.speed_up():
        pytest.skip("this processor has no bfloat16, or one that kills the process")
    model, precision = sketch(), Precision(CPU)
    w = torch.randn(1, model.layers, model.width, generator=torch.Generator().manual_seed(0))
    precision.half = False
    full = precision.synthesise(model, w)
    precision.half = True
    half = precision.synthesise(model, w).float()
    assert not torch.equal(full, half)
    assert float((full - half).abs().max()) < 0.1


def test_mps_stays_in_float32() -> None:
    assert Precision(torch.device("mps")).half is False
