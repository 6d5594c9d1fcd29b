"""Where and in what precision models run, and the workers that run them."""

import itertools
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from studio.core import bfloat16
from studio.core.errors import InvalidRequest
from studio.core.kinds import LatentModel

T = TypeVar("T")
R = TypeVar("R")

FASTER = 1.1  # bfloat16 is used where it is at least this many times faster
CPU_STEP = 4  # pictures a worker and step: what a slider may have to wait for
GPU_STEP = 16  # pictures a step where there is one worker on a fast device


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA, then MPS, then the CPU. Raises InvalidRequest where a named device is not there."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in found.items() if there))
    device = torch.device(name)
    there = found.get(device.type, False)
    if there and device.type == "cuda" and device.index is not None:
        there = device.index < torch.cuda.device_count()
    if not there:
        known = ", ".join(kind for kind, there in found.items() if there)
        raise InvalidRequest(f"STUDIO_DEVICE is {name!r}, which torch does not find here; use auto or one of: {known}.")
    return device


def leave_threads_to_workers() -> None:
    """Give every thread of this process but the workers' one torch thread, where nobody else computes with torch.

    A team of OpenMP threads belongs to the thread that first split work among several, and stays with it. With a second
    team there are more threads than processors, and libgomp lets all of them sleep at once where they would wait for
    each other: the short operations of an adaptation's step take half as long again.
    """
    _threads_before.append(torch.get_num_threads())
    torch.set_num_threads(1)


_threads_before: list[int] = []  # torch's, each time that they were left to the workers


class Workers:
    """Threads that make pictures with one torch thread each; on an accelerator a single one.

    Why not one batch on all threads: a convolution and a matrix product may add up in an order that depends on the
    batch size and on the number of threads, and the last bits of a picture would depend on its company. Small models
    gain nothing from splitting one convolution over cores either.
    """

    def __init__(self, device: torch.device, threads: int | None) -> None:
        before = torch.get_num_threads()
        threads = threads or max(before, *_threads_before, 1)
        self.count = threads if device.type == "cpu" else 1
        self.step = CPU_STEP * self.count if device.type == "cpu" else GPU_STEP
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="studio")
        together = threading.Barrier(self.count)

        def start(_: int) -> None:
            torch.set_num_threads(1)
            torch.get_num_threads()  # makes the number of this thread's own stick
            together.wait()

        list(self._pool.map(start, range(self.count)))
        self._all = ThreadPoolExecutor(1, "studio-whole", torch.set_num_threads, (threads,))
        self._all.submit(torch.get_num_threads).result()
        torch.set_num_threads(before)  # for every other thread

    def whole(self, job: Callable[..., R], *values: object) -> R:
        """job(*values) with all threads on one large picture, always called from one thread, so that they are kept."""
        return self._all.submit(job, *values).result()

    def map(self, make: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """make(item) for each item, in order."""
        return list(self._pool.map(make, items))

    def shared(self, make: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        """make(part) for one part of the items a worker, as even as can be; the results in order."""
        bounds = [len(items) * i // self.count for i in range(self.count + 1)]
        parts = [items[low:high] for low, high in itertools.pairwise(bounds) if high > low]
        return [made for some in self.map(make, parts) for made in some]


class Precision:
    """float32, or bfloat16 in a network where a trial finds it faster.

    record: where the verdict of a CPU's trial is kept (`studio.core.bfloat16`). A GPU is tried on the first job.
    tried: how many pictures each fused form of a model may paint at once (`studio.engine.brush`).
    """

    def __init__(self, device: torch.device, record: Path | None = None) -> None:
        self.device, self.record = device, record
        self.half: bool | None = None  # not tried yet
        self.tried: dict[Hashable, int] = {}
        if device.type == "mps" or (device.type == "cuda" and not torch.cuda.is_bf16_supported(False)):
            self.half = False

    @property
    def on_cpu(self) -> bool:
        """Whether the processor computes."""
        return self.device.type == "cpu"

    @torch.inference_mode()
    def synthesise(self, model: LatentModel, w: Tensor) -> Tensor:
        """w: (B,L,W), or (B,L+D,W) with details, on the device → (B,3,R,R) float32 or bfloat16."""
        with self.chosen():
            return model.paint(w)

    def chosen(self) -> torch.autocast:
        """The context to compute in."""
        return self._context(bool(self.half))

    def probe(self, model: LatentModel) -> None:
        """Decide, once for the device; on a GPU by the time of a picture of this model."""
        w = torch.randn(1, model.layers, model.width, generator=torch.Generator().manual_seed(0))
        self.decide(lambda: model.synthesis(w.to(self.device)))

    def decide(self, job: Callable[[], Tensor]) -> None:
        """Decide, once for the device; on a GPU by the time that a job takes."""
        if self.half is None:
            faster = bfloat16.speed_up(self.record) if self.device.type == "cpu" else self._speed_up(job)
            self.half = faster >= FASTER

    @torch.inference_mode()
    def _speed_up(self, job: Callable[[], Tensor]) -> float:
        self._time(job, False)
        full = self._time(job, False)
        half = self._time(job, True)
        runs = [(self._time(job, False), self._time(job, True)) for _ in range(3)]
        return min(full, *(run[0] for run in runs)) / min(half, *(run[1] for run in runs))

    def _time(self, job: Callable[[], Tensor], half: bool) -> float:
        """Seconds that a job takes."""
        start = time.perf_counter()
        with self._context(half):
            made = job()
        made.float().cpu()
        return time.perf_counter() - start

    def _context(self, half: bool) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half, cache_enabled=False)
