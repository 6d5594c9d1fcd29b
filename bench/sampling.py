"""Sampling against the convolution ceiling of the machine, 16 pictures, and a 120-frame loop to MP4.

The ceiling is the fastest of a few plain 3x3 convolutions in the engine's number type, channels last, whether all
threads share one convolution or each has its own. Ceiling and generator are timed in turns, so that whatever else the
machine does falls on both; the ratio is the median over the turns. Of the generator only the convolutions' arithmetic
counts, but all of its time, from request to picture. The bar is for the network's arithmetic, nearest upsampling and
then a 3x3 convolution (effective FLOP, as in Lavin & Gray 2016): pictures a second, over those that the ceiling would
allow. A second row counts what is really done; the transposed convolution that replaces the two does 4 multiplications
for 9. Both come again in float32 where the engine computes in bfloat16.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench.table import Row
from studio import Engine, SampleRequest, WalkRequest, result_of
from studio.core import checkpoint
from studio.core.kinds import LatentModel
from studio.engine.device import Precision, Workers

TURNS = 3
MANY = 32  # pictures of a timed request
SHAPES = ((1, 128, 64), (1, 64, 128), (4, 256, 32), (16, 256, 32), (16, 128, 64))  # batch, channels, side of the maps
BAR_CEILING, BAR_PICTURES, BAR_LOOP = 0.7, 0.3, 4.0

Call = tuple[torch.Size, torch.Size, tuple[Any, ...]]


class Convolutions(TorchDispatchMode):
    """Notes every convolution that runs: the shapes of picture and weights, and its settings."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func is torch.ops.aten.convolution.default:
            self.calls.append((args[0].shape, args[1].shape, tuple(args[3:])))
        return func(*args, **(kwargs or {}))


class Machine:
    """Runs convolutions as the engine does: in its number type, on its workers, one picture each."""

    def __init__(self, workers: Workers, precision: Precision) -> None:
        self.workers, self.device = workers, precision.device
        self.dtype = torch.bfloat16 if precision.half else torch.float32

    def random(self, *shape: int) -> Tensor:
        """Standard normal numbers on the device, channels last."""
        return torch.randn(*shape).to(self.device, self.dtype, memory_format=torch.channels_last)

    def ceiling(self) -> float:
        """FLOP/s of the fastest plain 3x3 convolution."""
        rates = []
        for batch, channels, side in SHAPES:
            x, w = self.random(batch, channels, side, side), self.random(channels, channels, 3, 3)
            flops = 2 * batch * (side * channels) ** 2 * 9
            shared = self.best(lambda x=x, w=w: F.conv2d(x, w, padding=1))  # type: ignore[misc]
            apart = self.best(lambda x=x, w=w: self.each(lambda: F.conv2d(x, w, padding=1)))  # type: ignore[misc]
            rates += [flops / shared, flops * self.workers.count / apart]
        return max(rates)

    def alone(self, calls: list[Call], flops: float) -> float:
        """FLOP/s of a generator's convolutions as they are done, each on its own, on random numbers."""
        total = 0.0
        for x_shape, w_shape, rest in calls:
            x, w = self.random(*x_shape), self.random(*w_shape)
            total += self.best(
                lambda x=x, w=w, rest=rest: self.each(lambda: torch.ops.aten.convolution(x, w, None, *rest))  # type: ignore[misc]
            )
        return flops * self.workers.count / total

    def each(self, job: Callable[[], Tensor]) -> None:
        """The same job on every worker at once."""
        self.workers.map(lambda _: torch.inference_mode()(job)(), range(self.workers.count))

    def best(self, job: Callable[[], object], repeats: int = 3) -> float:
        """Seconds of the fastest of a few runs, the device's queue included, after one that does not count."""

        def run() -> None:
            with torch.inference_mode():
                job()
            if self.device.type != "cpu":
                getattr(torch, self.device.type).synchronize()

        run()
        return min(seconds(run) for _ in range(repeats))


def measure(model: str) -> Iterator[Row]:
    """Figures of a model, by name or path."""
    engine = Engine()
    sixteen = SampleRequest(model=model, count=16)
    yield from shares(engine, model)
    info = engine.info(model)
    if engine.hardware[1].half:
        full = Engine()
        full.hardware[1].half = False
        yield from shares(full, model)
    times = [seconds(lambda: result_of(engine.sample(sixteen))) for _ in range(TURNS)]
    yield Row(f"16 pictures at {info.resolution} px", statistics.median(times), "s", BAR_PICTURES)
    loop = WalkRequest(model=model, seeds=(1, 2, 3), frames=120)
    with tempfile.TemporaryDirectory() as folder:
        times = [seconds(lambda: result_of(engine.walk(loop, Path(folder) / "loop.mp4"))) for _ in range(3)]
    yield Row("120-frame loop to MP4", statistics.median(times), "s", BAR_LOOP)


def shares(engine: Engine, model: str) -> Iterator[Row]:
    """The ceiling in the engine's number type, and what sampling comes to of it."""
    many = SampleRequest(model=model, count=MANY)
    result_of(engine.sample(many))  # the first pictures load the model and choose the number type
    machine = Machine(*engine.hardware)
    calls, done, defined = arithmetic(checkpoint.load(engine.info(model).path).build())
    turns = [(machine.ceiling(), MANY / seconds(lambda: result_of(engine.sample(many)))) for _ in range(TURNS)]
    top = statistics.median(best for best, _ in turns)
    number, count = str(machine.dtype).removeprefix("torch."), machine.workers.count
    yield Row(f"convolution ceiling, {number}", top / 1e9, "GFLOP/s", note=f"{count} workers")
    share = statistics.median(pace / best for best, pace in turns)
    note = f"{defined / 2e9:.2f} GMAC a picture, the network's"
    yield Row(f"sampling, of the ceiling, {number}", share * defined, "", BAR_CEILING, at_least=True, note=note)
    note = f"{done / 2e9:.2f} GMAC, by transposed convolutions"
    yield Row(f"arithmetic really done, of the ceiling, {number}", share * done, "", note=note)
    yield Row(f"its convolutions one by one, really done, {number}", machine.alone(calls, done) / top, "")


def seconds(job: Callable[[], object]) -> float:
    """Wall-clock seconds of a job."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


@torch.inference_mode()
def arithmetic(generator: LatentModel) -> tuple[list[Call], float, float]:
    """The convolutions of one picture, folded as for inference; their arithmetic in FLOP, as done and as defined."""
    generator.optimise_()
    weights = torch.full((1, generator.class_count), 1 / max(generator.class_count, 1))
    with Convolutions() as noted, FlopCounterMode(display=False) as counter:
        generator(torch.randn(1, generator.latent_dim), weights if generator.class_count else None)
    totals = counter.get_flop_counts()["Global"]
    done = float(sum(flops for name, flops in totals.items() if "convolution" in str(name)))
    return noted.calls, done, done + sum(saved(call) for call in noted.calls)


def saved(call: Call) -> float:
    """FLOP that a transposed convolution with a 4x4 kernel saves of upsampling and a 3x3 convolution."""
    (_, inputs, height, width), kernel, (_, _, _, transposed, *_) = call
    return 2 * inputs * kernel[1] * height * width * 4 * (9 - 4) if transposed else 0.0
