"""Whether this processor gains by bfloat16, found out in a process of its own.

Some virtual machines announce matrix instructions that they do not have; the first product in bfloat16 then kills the
process with SIGILL, which nothing in it can catch. So a child makes the trial, and its verdict is kept on disk: the
same seed must be the same picture tomorrow, however busy the machine was today.
"""

import hashlib
import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.errors import OutputError
from studio.core.files import atomic_write

SECONDS = 120.0  # that the child may take; it needs about four
ROUNDS = 5  # of which the fastest counts, full and half precision in turns


def announced() -> bool:
    """Whether the processor says that it has bfloat16 arithmetic; elsewhere it is emulated, and slower."""
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


def speed_up(record: Path | None = None) -> float:
    """How many times faster than float32 the processor computes in bfloat16; 0 where that kills or hangs a process.

    record: a JSON file with the verdicts of earlier trials, read and added to. One that cannot be read or written only
    costs the trial again.
    """
    if not announced():
        return 0.0
    known = _read(record)
    key = _machine()
    if key not in known:
        known[key] = _ask_child()
        if record is not None:
            try:
                with atomic_write(record) as beside:
                    beside.write_text(json.dumps(known, indent=2), "utf-8")
            except OutputError:
                pass  # a read-only home: the trial is made again at the next start
    return known[key]


def _ask_child() -> float:
    command = [sys.executable, "-c", "from studio.core.bfloat16 import trial; print(trial())"]
    root = str(Path(__file__).resolve().parents[2])
    try:
        child = subprocess.run(command, cwd=root, capture_output=True, timeout=SECONDS, text=True, check=False)
        return float(child.stdout) if child.returncode == 0 else 0.0
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0.0


def _read(record: Path | None) -> dict[str, float]:
    try:
        known = json.loads(record.read_text("utf-8")) if record is not None else {}
        return {str(key): float(value) for key, value in known.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _machine() -> str:
    """The processor and the torch that the verdict holds for."""
    try:
        lines = re.findall(r"^(?:model name|flags)\s*:.*$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)[:2]
    except OSError:
        lines = [platform.processor(), platform.machine()]
    return f"torch {torch.__version__}, {hashlib.sha256(' '.join(lines).encode()).hexdigest()[:12]}"


def trial() -> float:
    """For the child: how many times faster a small generator's arithmetic is in bfloat16, on one thread.

    Matrix products, convolutions and transposed ones, of one picture and of several, forward and backward: every sort
    of kernel that the studio uses must survive.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    matrix, linear = normal(8, 64), normal(256, 192)
    kernel = normal(64, 64, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    wide = normal(64, 32, 4, 4).to(memory_format=torch.channels_last)

    def work(batch: int) -> Tensor:
        style = F.linear(normal(batch, 192), linear) + (normal(batch, 8) @ matrix).repeat(1, 4)
        x = style.view(batch, 64, 2, 2).repeat(1, 1, 16, 16).contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(
            F.conv2d(F.conv2d(x, kernel, padding=1), kernel, padding=1), wide, stride=2, padding=1
        )

    def seconds(half: bool, job: Callable[[], object]) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
            job()
        return time.perf_counter() - start

    for half in (False, True):
        for batch in (1, 2, 16):
            seconds(half, lambda batch=batch: work(batch).float().square().mean().backward())  # type: ignore[misc]
    with torch.inference_mode():
        runs = [(seconds(False, lambda: work(1)), seconds(True, lambda: work(1))) for _ in range(ROUNDS)]
    full, half_time = (min(times) for times in zip(*runs, strict=True))
    return full / half_time
