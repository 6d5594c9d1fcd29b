"""An adaptation in a real browser: its first preview, another person's slider meanwhile, and the memory."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.browser import MOVE, PATIENCE, moved, served
from bench.startup import resident_bytes
from bench.table import Row
from studio import Engine, SampleRequest, result_of

PICTURES = 10
MOVES = 12
BAR_PREVIEW = 3.0  # seconds
BAR_SLIDER = 400.0  # milliseconds
BAR_GIGABYTES = 2.0


def measure(model: str) -> Iterator[Row]:
    """The named model paints the pictures, and is what the other person explores; the base is the studio's choice."""
    with tempfile.TemporaryDirectory() as folder, served() as (page, process):
        artist, other = page(), page()
        artist.get_by_role("tab", name="Adapt", exact=True).click()
        artist.locator("input[type=file][multiple]").last.set_input_files(_painted(model, Path(folder)))
        artist.get_by_text(f"{PICTURES} of {PICTURES} pictures will be learned from").wait_for(timeout=PATIENCE)
        began = time.perf_counter()
        artist.get_by_role("button", name="Adapt", exact=True).click()
        artist.locator(".pairs img").first.wait_for(timeout=PATIENCE)
        first = time.perf_counter() - began
        yield Row("Adapt clicked → first preview on screen", first, "s", BAR_PREVIEW, note="models not loaded yet")
        slider = moved(other, MOVE, MOVES, 2)
        busy = artist.get_by_role("button", name="Stop", exact=True).is_enabled()
        note = f"median of {MOVES}" if busy else "the adaptation ended meanwhile"
        yield Row("slider moved on another page → new picture on screen", slider, "ms", BAR_SLIDER, note=note)
        artist.locator(".adapt-desk .status").get_by_text("is kept").wait_for(timeout=PATIENCE)
        yield Row("memory after an adaptation", resident_bytes(process) / 1e9, "GB", BAR_GIGABYTES)


def _painted(model: str, folder: Path) -> list[Path]:
    """Pictures to learn from."""
    files = []
    for sample in result_of(Engine().sample(SampleRequest(model=model, seed=1, count=PICTURES))):
        files.append(folder / f"{sample.seed}.png")
        sample.image.save(files[-1])
    return files
