"""From a moved slider to the new picture on the screen, in a real Chromium; and the server's share of it."""

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.startup import app, free_port, wait_for_page
from bench.table import Row
from studio.engine import Engine, Seeded
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.large import STAGE

MOVES, RESTS = 40, 8
PAUSE = 220  # milliseconds, as in hand.js
BAR_SCREEN = 300.0  # milliseconds
BAR_SERVER = 60.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120_000  # milliseconds for the first picture

# Moves the slider as a hand does, and waits until another picture has been decoded and painted.
MOVE = """async (value) => {
  const slider = document.querySelector(".rail input[aria-label='range slider for Truncation']");
  const picture = document.querySelector(".stage img");
  const before = picture.src;
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  while (document.querySelector(".stage img").src === before) await new Promise(requestAnimationFrame);
  await document.querySelector(".stage img").decode();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - start;
}"""

# From the same, to the enlarged picture that comes when the slider rests.
REST = """async ([value, side]) => {
  const slider = document.querySelector(".rail input[aria-label='range slider for Truncation']");
  const before = document.querySelector(".stage img").src;
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  const arrived = (picture) => picture.src !== before && picture.naturalWidth === side;
  while (!arrived(document.querySelector(".stage img"))) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


def measure(model: str) -> Iterator[Row]:
    """Milliseconds from a move of the truncation slider to the new picture, to the enlarged one when it rests, and of
    the handler alone."""
    moving, resting = _on_screen(model)
    yield Row("slider moved → new picture on screen", moving, "ms", BAR_SCREEN, note=f"median of {MOVES}")
    if resting is not None:
        note = f"{STAGE} px, median of {RESTS}; {PAUSE} of them the page waits for further moves"
        yield Row("the same → the enlarged picture", resting, "ms", note=note)
    yield Row("of it the server's handler", _on_server(model), "ms", BAR_SERVER, note=f"median of {MOVES}")


def browser() -> str:
    """The Chromium to drive: the environment's CHROMIUM, else the first one installed."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise SystemExit("No Chromium found; install one, or name it in the environment variable CHROMIUM.")
    return found


@contextmanager
def served() -> Iterator[tuple[Any, int]]:
    """A studio of its own: how to open a page of it in Chromium with its first wall painted (→ a playwright Page), and
    the number of its process."""
    from playwright.sync_api import sync_playwright  # not needed by the other benchmarks

    port = free_port()
    with app(port) as process, sync_playwright() as playwright:
        url = f"http://127.0.0.1:{port}/"
        wait_for_page(url, process)
        chromium = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox"])

        def page() -> Any:
            fresh = chromium.new_page(viewport={"width": 1440, "height": 900})
            fresh.goto(url)
            fresh.wait_for_selector(".wall img", timeout=PATIENCE)
            return fresh

        yield page, process.pid
        chromium.close()


@contextmanager
def opened() -> Iterator[Any]:
    """A page of a studio of its own."""
    with served() as (page, _):
        yield page()


def moved(page: Any, move: str, count: int, warm_up: int) -> float:
    """Median milliseconds of a script that moves a slider to a value, over `count` moves after those of the warm-up."""
    times = []
    for number in range(warm_up + count):
        times.append(page.evaluate(move, 0.3 + 0.02 * number))
        page.wait_for_timeout(60)
    return statistics.median(times[warm_up:])


def _on_screen(model: str) -> tuple[float, float | None]:
    """While the slider moves, and when it rests; None where there is no upscaler."""
    with opened() as page:
        field = page.get_by_label("Model", exact=True)
        if field.input_value() != Path(model).stem:
            field.click()
            page.get_by_role("option", name=Path(model).stem, exact=True).click()
        page.wait_for_timeout(3000)
        moving = moved(page, MOVE, MOVES, 5)
        if not Engine().can_enlarge:
            return moving, None
        page.wait_for_timeout(3000)
        return moving, statistics.median(page.evaluate(REST, [0.3 + 0.05 * n, STAGE]) for n in range(RESTS))


def _on_server(model: str) -> float:
    jobs = ExploreJobs(Engine())
    times = []
    for move in range(MOVES + 5):
        start = time.perf_counter()
        for _ in jobs.live(model, Seeded(seed=1), 0.3 + 0.02 * move, 1.0, 0.3, ["fine"]):
            pass
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[5:])
