"""Trainings that outlive the page: orders, wishes and states as small files, and one worker process at a time.

A run is a folder. The page writes `order.json` once and `wish.json` (go, pause, stop) at will; the worker alone writes
`status.json`, and beside them lie the checkpoint, the training state and the logs. Whoever finds that a run waits and
no worker holds the lock starts one; so a run goes on after the page was closed or the worker killed, and the next in
the queue after the one before.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.core.errors import InvalidRequest, OutputError
from studio.core.files import atomic_write, output_error
from studio.core.lock import holding

ORDER, WISH, STATUS, LOCK, ERRORS = "order.json", "wish.json", "status.json", "worker.lock", "errors.txt"
GO, PAUSE, STOP = "go", "pause", "stop"
QUEUED, READING, TRAINING, PAUSED, DONE, FAILED = "queued", "reading", "training", "paused", "done", "failed"
REST_SECONDS = 30.0  # from the start of a worker that broke down to that of the next
MAX_SECONDS = 7 * 24 * 3600.0
_NAME = re.compile(r"\w[\w .,-]{0,59}")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Order:
    """What is to be trained. name: of the model in the library. data: folders and zips. model: settings of the model's
    configuration that differ from its defaults. seconds: of training in all."""

    name: str
    recipe: str
    data: tuple[str, ...]
    model: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 3600.0
    batch: int = 16
    device: str = "auto"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidRequest("A model's name must have 1 to 60 letters, digits, spaces or -_., and begin with one.")
        if not 1 <= self.seconds <= MAX_SECONDS:
            days = MAX_SECONDS / 86400
            raise InvalidRequest(f"A run may take from 1 second to {days:.0f} days; got {self.seconds:g} seconds.")


@dataclass(frozen=True)
class RunState:
    """A run as its files tell it. stage: QUEUED, READING, TRAINING, PAUSED, DONE or FAILED. images: seen. seconds:
    trained. losses: the last. notes: sentences, the oldest first. error: why it failed."""

    key: str
    folder: Path
    order: Order
    wish: str = GO
    stage: str = QUEUED
    images: int = 0
    seconds: float = 0.0
    losses: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""
    starts: int = 0
    started_at: int = 0  # images, at the first of these starts
    said: int = 0  # wishes that were said, and of these heard by the worker when it failed
    heard: int = 0
    pid: int = 0  # of the worker that took it up last

    @property
    def left(self) -> float:
        """Seconds of training that are left."""
        return max(self.order.seconds - self.seconds, 0.0)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it unless somebody wishes it."""
        return self.stage == DONE or (self.stage == FAILED and self.heard >= self.said)

    @property
    def waits(self) -> bool:
        """Whether a worker has something to do for it."""
        return not self.ended and self.wish != PAUSE

    @property
    def out(self) -> Path:
        """The checkpoint, once it has been saved."""
        return self.folder / "model.safetensors"

    def snapshot(self) -> Path | None:
        """The picture of the fixed seeds drawn last."""
        return max((self.folder / "model.run" / "snapshots").glob("*.png"), default=None)

    def curves(self, most: int = 200) -> dict[str, list[tuple[float, float]]]:
        """Losses by name over pictures seen, thinned to so many points."""
        try:
            lines = (self.folder / "model.run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        found: dict[str, list[tuple[float, float]]] = {}
        for line in lines[:: max(len(lines) // most, 1)]:
            try:
                told = json.loads(line)
            except ValueError:  # cut off while it is written
                continue
            for name, value in told.items():
                if name not in ("images", "images_per_second"):
                    found.setdefault(name, []).append((told["images"], value))
        return found


class Runs:
    """The runs of an artist's library. Safe to share among threads."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "runs"
        self._guard = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def all(self) -> list[RunState]:
        """Every run, the oldest first."""
        return [
            state for file in sorted(self.folder.glob(f"*/{ORDER}")) if (state := read_run(file.parent)) is not None
        ]

    def get(self, key: str) -> RunState:
        """One run. Raises InvalidRequest where it is gone."""
        found = read_run(self.folder / key) if re.fullmatch(r"[0-9]{20}", key) else None
        if found is None:
            raise InvalidRequest("That run is no longer there; choose another.")
        return found

    def add(self, order: Order, upload: Path | None = None) -> RunState:
        """Queue a run. upload: a zip that is copied to it and is all its data. Raises InvalidRequest or OutputError."""
        if not order.data and upload is None:
            raise InvalidRequest("There is nothing to learn from yet; name a folder of pictures, or choose a zip.")
        missing = next((path for path in order.data if not Path(path).expanduser().exists()), None)
        if missing is not None:
            raise InvalidRequest(f"There is no {missing[:200]!r} on this machine; name a folder of pictures or a zip.")
        with self._guard:
            if order.name in {state.order.name for state in self.all() if not state.ended}:
                raise InvalidRequest(f"A run for {order.name!r} is there already; choose another name.")
            if (self.home / "models" / f"{order.name}.safetensors").exists():
                raise InvalidRequest(f"The library has a model {order.name!r} already; choose another name.")
            folder = self.folder / f"{time.time_ns():020d}"
            data = [str(Path(path).expanduser().absolute()) for path in order.data]
            if upload is not None:
                data = [str(_copied(upload, folder / "data.zip"))]
            _write(folder / WISH, {"wish": GO, "said": 1})
            _write(folder / ORDER, {**asdict(order), "data": data})
        return self.get(folder.name)

    def wish(self, key: str, wish: str) -> None:
        """Say that a run shall go on, pause, or stop and be kept; one that never began is gone when it is stopped."""
        state = self.get(key)
        if wish == STOP and state.stage == QUEUED:
            shutil.rmtree(state.folder, ignore_errors=True)
            return
        _write(state.folder / WISH, {"wish": wish, "said": state.said + 1})

    def forget(self, key: str) -> None:
        """Remove a run that has ended or is paused, with its state; the model in the library stays."""
        state = self.get(key)
        if state.waits or (state.stage in (READING, TRAINING) and self.at_work):
            raise InvalidRequest(f"The run for {state.order.name!r} is at work; pause or stop it first.")
        shutil.rmtree(state.folder, ignore_errors=True)

    def next(self) -> RunState | None:
        """The run that a worker is to take up: the oldest that waits."""
        return next((state for state in self.all() if state.waits), None)

    @property
    def at_work(self) -> bool:
        """Whether a worker holds the lock."""
        if not self.folder.is_dir():
            return False
        with holding(self.folder / LOCK) as free:
            return not free

    def tend(self) -> None:
        """See that a worker is at work where a run waits."""
        with self._guard:
            status = 0 if self._worker is None else self._worker.poll()
            broke = status != 0 and time.monotonic() - self._began < REST_SECONDS
            if status is None or broke or self.next() is None or self.at_work:
                return
            self._began = time.monotonic()
            with (self.folder / ERRORS).open("ab") as errors:
                self._worker = subprocess.Popen(
                    [sys.executable, "-m", "studio.training.work", str(self.home.resolve())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=_ROOT,
                    env={
                        **os.environ,
                        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
                    },
                    start_new_session=True,  # it outlives the page
                )


def read_run(folder: Path) -> RunState | None:
    """What a run's files tell; None where there is no sound order."""
    order, wish, status = (_read(folder / name) for name in (ORDER, WISH, STATUS))
    try:
        told = Order(**{**order, "data": tuple(order["data"])})
        known = {name: status[name] for name in STATUS_FIELDS if name in status}
        known["notes"] = tuple(known.get("notes", ()))
        return RunState(folder.name, folder, told, wish.get("wish", GO), said=int(wish.get("said", 1)), **known)
    except (KeyError, TypeError, InvalidRequest):
        return None


STATUS_FIELDS = ("stage", "images", "seconds", "losses", "notes", "error", "starts", "started_at", "heard", "pid")


def write_status(state: RunState) -> None:
    """What the worker tells of a run."""
    _write(state.folder / STATUS, {name: getattr(state, name) for name in STATUS_FIELDS})


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")


def _copied(upload: Path, place: Path) -> Path:
    """A copy of an uploaded file, which the page clears by its age."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(place.parent).free < 2 * upload.stat().st_size:
            raise OutputError(f"There is no room for {upload.name[:80]} in {place.parents[1]}; free some first.")
        return Path(shutil.copyfile(upload, place)).absolute()
    except OSError as error:
        raise output_error(place, error) from error
