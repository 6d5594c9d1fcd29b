"""The records of the proof's runs: lines of a log while it runs, and one packed file that is kept beside the page."""

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.adaptation_run import Case

DIGITS = 6  # of a number that is kept
STARTS = ("base", "student", "steps", "features", "samples", "budget")  # in which runs of one case can differ


def append(path: Path, record: dict[str, Any]) -> None:
    """One line in one write, on the disk when this returns. Half a line that a killed bench has left is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(record, allow_nan=False) + "\n").encode()
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, b"\n" + line if torn else line)
        os.fsync(handle)
    finally:
        os.close(handle)


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a log, or of a file that `keep` has written; none where there is no file."""
    data = path.read_bytes() if path.exists() else b""
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn
        if isinstance(record, dict):
            yield record


def keep(path: Path, found: Iterable[dict[str, Any]]) -> None:
    """Write the fullest record of every case and start, in one order and with few digits: the same records are the
    same bytes."""
    starts: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        starts.setdefault(json.dumps([record.get(name) for name in STARTS], sort_keys=True), []).append(record)
    lines = sorted(json.dumps(_short(one)) for each in starts.values() for one in fullest(each).values())
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    beside.replace(path)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value


def case_of(record: dict[str, Any]) -> Case:
    return Case(*(record[name] for name in ("artist", "shots", "draw", "seed", "arm")))


def fullest(found: Iterable[dict[str, Any]]) -> dict[Case, dict[str, Any]]:
    """By case the record that was not broken off, or that was judged most often."""
    ranked = sorted(found, key=lambda record: (record["end"] is not None, len(record["points"])))
    return {case_of(record): record for record in ranked}
