"""The command line as a process of its own: exit status, streams, signals."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(*args: object, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "studio", *map(str, args)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a background job ignores it
    )


def run(*args: object) -> tuple[int, str, str]:
    process = start(*args)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def test_help_names_every_verb() -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for verb in ("serve", "models", "sample", "walk", "train", "evaluate"):
        assert verb in out


def test_bad_input_is_status_two_and_one_sentence_without_traceback(library: Path) -> None:
    assert run("sample", "nobody") == (2, "", "Unknown model 'nobody'; known: tiny.\n")


def test_json_is_one_line_on_stdout_and_nothing_else(library: Path, tmp_path: Path) -> None:
    status, out, err = run("sample", "tiny", "--count", 1, "--out", tmp_path, "--json")
    assert (status, err) == (0, "")
    assert out.count("\n") == 1
    assert json.loads(out)["files"] == [str(tmp_path / "tiny-0.png")]


def test_ctrl_c_ends_a_job_with_130_and_leaves_nothing_half_written(library: Path, tmp_path: Path) -> None:
    process = start("walk", "tiny", "--seeds", "1,2", "--frames", 600, "--size", 1024, "--out", tmp_path / "long.mp4")
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob(".*.mp4")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "")
    assert list(tmp_path.glob("*.mp4")) + list(tmp_path.glob(".*.mp4")) == []


def test_serve_tells_its_address_in_one_line_and_ends_well_by_ctrl_c(library: Path) -> None:
    process = start("serve", "--host", "127.0.0.1", "--json")
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())
    assert address["public"] is None
    with urllib.request.urlopen(address["url"], timeout=60) as page:
        assert b"Atelier" in page.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
