"""Sampling against the convolution ceiling of the machine, 16 pictures, and a 120-frame loop to MP4.

The ceiling is the fastest of a few plain 3x3 convolutions, in the engine's number type and layout, on as many threads.
Generator and ceiling are timed in turns, so that whatever else the machine does falls on both; the ratio is the median
over the turns. Of the generator only the convolutions' arithmetic counts, but all of its time, from request to picture.
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

TURNS = 5
MANY = 64  # pictures of a timed request
SHAPES = ((16, 256, 32), (16, 128, 64), (16, 64, 128), (4, 256, 64))  # batch, channels, side of the ceiling's maps
BAR_CEILING, BAR_PICTURES, BAR_LOOP = 0.7, 0.3, 4.0


class Convolutions(TorchDispatchMode):
    """Notes every convolution that runs: its operands' shapes and its settings."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch.Size, torch.Size, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func is torch.ops.aten.convolution.default:
            self.calls.append((args[0].shape, args[1].shape, tuple(args[3:])))
        return func(*args, **(kwargs or {}))


def measure(model: str) -> Iterator[Row]:
    """Figures of a model, by name or path."""
    engine = Engine()
    info = engine.info(model)
    dtype, device = engine.precision(model), engine.device
    generator = checkpoint.load(info.path).build()
    generator.optimise_()
    generator = generator.to(device, dtype, memory_format=torch.channels_last)
    calls, flops = arithmetic(generator, dtype, device)
    many = SampleRequest(model=model, count=MANY)
    result_of(engine.sample(many))  # the first pictures load the model
    turns = [
        (ceiling(dtype, device), flops * MANY / seconds(lambda: result_of(engine.sample(many)))) for _ in range(TURNS)
    ]
    top = statistics.median(best for best, _ in turns)
    alone = flops / replay(calls, dtype, device)
    note = f"{str(dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads, {flops / 2e9:.2f} GMAC a picture"
    yield Row("convolution ceiling", top / 1e9, "GFLOP/s", note=note)
    yield Row("generator's own convolutions alone, of the ceiling", alone / top, "")
    yield Row("sampling, of the ceiling", statistics.median(s / c for c, s in turns), "", BAR_CEILING, at_least=True)
    sixteen = SampleRequest(model=model, count=16)
    times = [seconds(lambda: result_of(engine.sample(sixteen))) for _ in range(TURNS)]
    yield Row(f"16 pictures at {info.resolution} px", statistics.median(times), "s", BAR_PICTURES)
    with tempfile.TemporaryDirectory() as folder:
        loop = WalkRequest(model=model, seeds=(1, 2, 3), frames=120)
        times = [seconds(lambda: result_of(engine.walk(loop, Path(folder) / "loop.mp4"))) for _ in range(3)]
    yield Row("120-frame loop to MP4", statistics.median(times), "s", BAR_LOOP)


def seconds(job: Callable[[], object]) -> float:
    """Wall-clock seconds of a job."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def best_of(job: Callable[[], Tensor], repeats: int = 5) -> float:
    """Seconds of the fastest of a few runs, the device's queue included, after one that does not count."""

    def run() -> None:
        out = job()
        if out.device.type != "cpu":
            getattr(torch, out.device.type).synchronize()

    run()
    return min(seconds(run) for _ in range(repeats))


@torch.inference_mode()
def ceiling(dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of the fastest plain 3x3 convolution."""
    rates = []
    for batch, channels, side in SHAPES:
        x = torch.randn(batch, channels, side, side, device=device).to(dtype, memory_format=torch.channels_last)
        w = torch.randn(channels, channels, 3, 3, device=device).to(dtype, memory_format=torch.channels_last)
        flops = 2 * batch * (side * channels) ** 2 * 9
        rates.append(flops / best_of(lambda x=x, w=w: F.conv2d(x, w, padding=1)))  # type: ignore[misc]
    return max(rates)


@torch.inference_mode()
def arithmetic(generator: LatentModel, dtype: torch.dtype, device: torch.device) -> tuple[list[Any], float]:
    """The convolutions of a batch of 16, and their arithmetic in FLOP a picture."""
    z = torch.randn(16, generator.latent_dim, device=device, dtype=dtype)
    weights = torch.full((16, generator.class_count), 1 / max(generator.class_count, 1), device=device, dtype=dtype)
    with Convolutions() as noted, FlopCounterMode(display=False) as counter:
        generator(z, weights if generator.class_count else None)
    totals = counter.get_flop_counts()["Global"]
    return noted.calls, sum(n for op, n in totals.items() if "convolution" in str(op)) / 16


@torch.inference_mode()
def replay(calls: list[Any], dtype: torch.dtype, device: torch.device) -> float:
    """Seconds a picture that the noted convolutions take one by one, on random numbers."""
    total = 0.0
    for x_shape, w_shape, rest in calls:
        x = torch.randn(x_shape, device=device).to(dtype, memory_format=torch.channels_last)
        w = torch.randn(w_shape, device=device).to(dtype, memory_format=torch.channels_last)
        total += best_of(lambda x=x, w=w, rest=rest: torch.ops.aten.convolution(x, w, None, *rest))  # type: ignore[misc]
    return total / 16
