"""From process start to the first page served, and the memory the process holds then."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.table import Row

ROOT = Path(__file__).resolve().parent.parent
STARTS = 3
DEADLINE = 120.0  # seconds
BAR_SECONDS = 8.0
BAR_GIGABYTES = 1.5


def measure(model: str) -> Iterator[Row]:
    """Start the app a few times; the median of the seconds, the largest of the memories. The model is not used."""
    del model
    starts = sorted(_start() for _ in range(STARTS))
    seconds = starts[len(starts) // 2][0]
    yield Row("process start to first page", seconds, "s", BAR_SECONDS, note=f"median of {STARTS} starts")
    yield Row("memory after the first page", max(memory for _, memory in starts) / 1e9, "GB", BAR_GIGABYTES)


def _start() -> tuple[float, float]:
    """(seconds to the first page, resident bytes then) of one start."""
    port = free_port()
    began = time.perf_counter()
    with app(port) as process:
        wait_for_page(f"http://127.0.0.1:{port}/", process)
        seconds = time.perf_counter() - began
        return seconds, resident_bytes(process.pid)


@contextmanager
def app(port: int, extra: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`python app.py` on a port of this machine, stopped at the end."""
    environment = {
        **os.environ,
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        **(extra or {}),
    }
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_page(url: str, process: subprocess.Popen[bytes]) -> None:
    """Poll until the page is served."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"app.py ended with status {process.returncode} before it served a page.")
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit(f"app.py served no page within {DEADLINE:g} s.")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_bytes(pid: int) -> float:
    """Resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return float(line.split()[1]) * 1024
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return float(answer.stdout) * 1024
