"""The device and what runs on it: one job at a time, in the order asked for, with the models used last in memory."""

from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, TypeVar

import torch

from studio.engine.device import Precision, Workers, choose_device
from studio.engine.opened import Opened, Workbench
from studio.engine.painter import Painter
from studio.engine.turns import Turns
from studio.settings import Settings

T = TypeVar("T")


class Machine:
    """Nothing is asked of the device before the first job."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.turns = Turns()
        self.loaded: OrderedDict[str, Painter] = OrderedDict()  # by Opened.key, the least recently used first
        self._bench = Workbench()

    @cached_property
    def hardware(self) -> tuple[Workers, Precision]:
        """The workers on the device that the settings choose, and the precision that it computes in."""
        device = choose_device(self.settings.device)
        return Workers(device, self.settings.threads), Precision(device, self.settings.home / "processor.json")

    def device(self) -> torch.device:
        """Where models run."""
        return self.hardware[1].device

    def style_precision(self) -> Precision:
        """For the networks of style transfer, which a GPU is tried on anew."""
        generators = self.hardware[1]
        return Precision(generators.device, generators.record)

    def whole(self, job: Callable[..., T], *values: Any) -> T:
        """job(*values) in the device's next turn, with all threads of the processor."""
        with self.turns:
            return self.hardware[0].whole(job, *values)

    def single(self, job: Callable[..., T], *values: Any) -> T:
        """job(*values) in the device's next turn, on one thread, so that the bits do not depend on company."""
        with self.turns:
            return self.hardware[0].map(lambda run: run(*values), [job])[0]

    @contextmanager
    def step(self, opened: Opened) -> Generator[tuple[Painter, Workers], None, None]:
        """One turn on the device, with a generator loaded."""
        with self.turns:
            workers, precision = self.hardware
            yield self._painter(opened, workers, precision), workers

    def _painter(self, opened: Opened, workers: Workers, precision: Precision) -> Painter:
        """The model from memory or from its file; the least recently used ones make room."""
        painter = self.loaded.pop(opened.key, None)
        if painter is None:
            build = partial(opened.build, self._bench.load)
            painter = workers.map(lambda make: Painter(make(), opened.classes, precision), [build])[0]
        self.loaded[opened.key] = painter
        while len(self.loaded) > 1 and sum(p.bytes for p in self.loaded.values()) > self.settings.cache_bytes:
            self.loaded.popitem(last=False)
        return painter
