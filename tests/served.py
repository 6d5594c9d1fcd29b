"""The app as its users have it: `python app.py` in its own process, over small models, cut off from the network."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from hands import write_base
from studio_styles import write_styles

from studio.core import checkpoint
from studio.core.kinds import MODEL_KINDS
from studio.models.base import measure_w_mean

ROOT = Path(__file__).resolve().parent.parent
CLASSES = ("landscape", "portrait", "seascape")
PATIENCE = 120.0  # seconds for the first page
LONG_WALK = 9_000  # frames, the most that a walk may have: enough to be stopped before its end

# Refuses every connection and every look-up of a name beyond this machine, and writes down that it was tried.
GUARD = """
import ipaddress, os, runpy, socket, sys
def local(host):
    if host in (None, "", "localhost", "0.0.0.0", b"localhost"): return True
    try: return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError: return False
def check(host):
    if not local(host):
        with open(os.environ["ATTEMPTS"], "a") as file: file.write(f"{host}\\n")
        raise OSError(f"the network is blocked: {host}")
connect, look_up = socket.socket.connect, socket.getaddrinfo
def guarded(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6): check(address[0])
    return connect(self, address)
def guarded_look_up(host, *args, **options):
    check(host)
    return look_up(host, *args, **options)
socket.socket.connect, socket.getaddrinfo = guarded, guarded_look_up
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""


@dataclass(frozen=True)
class Served:
    """A running app. attempts: the file that lists the hosts which it tried to reach."""

    url: str
    attempts: Path
    log: Path


def shelf(folder: Path) -> Path:
    """Checkpoints to choose from: two random generators, one with classes and styles, the models of style transfer,
    a base to be adapted with its learner, and a broken file."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "small.safetensors", "gan", CLASSES, {"resolution": 32, "capacity": 0.25, "latent_dim": 32})
    write_styles(folder)
    write_base(folder)
    _save(folder / "plain.safetensors", "dcgan", (), {"resolution": 32, "channels": 16, "latent_dim": 16})
    (folder / "broken.safetensors").write_bytes(b"\x80\x04\x95a pickle")
    return folder


def _save(path: Path, kind: str, classes: tuple[str, ...], config: Mapping[str, object]) -> None:
    torch.manual_seed(0)
    entry = MODEL_KINDS[kind]
    model = entry.build(entry.config(**config), len(classes))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)  # strong enough that seeds differ to the eye
    measure_w_mean(model.eval(), count=64)
    checkpoint.save(path, model, kind=kind, config=config, classes=classes, provenance={}, metrics={})


@contextmanager
def serving(folder: Path, extra: Mapping[str, str] | None = None) -> Iterator[Served]:
    """The app over the checkpoints in ``folder / "checkpoints"``, until the block ends."""
    port = _free_port()
    served = Served(f"http://127.0.0.1:{port}/", folder / "attempts", folder / "log")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "GRADIO_"))},
        "STUDIO_HOME": str(folder / "home"),
        "STUDIO_CHECKPOINTS": str(folder / "checkpoints"),
        "STUDIO_DEVICE": "cpu",
        "STUDIO_THREADS": "1",
        "STUDIO_MAX_FRAMES": str(LONG_WALK),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        "ATTEMPTS": str(served.attempts),
        **(extra or {}),
    }
    with served.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", GUARD], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(served, process)
            yield served
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(served: Served, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(served.url, timeout=PATIENCE) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"app.py served no page:\n{served.log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
