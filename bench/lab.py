"""The Lab's four models side by side: from a moved slider to all of their pictures on the screen, in a real browser."""

import statistics
import time
from collections.abc import Iterator

from bench.browser import PATIENCE, moved, opened
from bench.table import Row
from studio.engine import Engine
from studio.ui.lab_jobs import MAX_MODELS, LabJobs
from studio.ui.shelf import usable

MOVES = 20
SEEDS = 4  # in a row, as the tab opens
BAR = 400.0  # milliseconds

# Moves the slider as a hand does, and waits until all pictures are others, decoded and painted.
MOVE = """async (value) => {
  const slider = document.querySelector(".bench-rail input[aria-label='range slider for Truncation']");
  const shown = () => [...document.querySelectorAll(".beside img")];
  const before = shown().map((one) => one.src);
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  while (shown().length < before.length || shown().some((one, i) => one.src === before[i]))
    await new Promise(requestAnimationFrame);
  await Promise.all(shown().map((one) => one.decode()));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - start;
}"""


def measure(model: str) -> Iterator[Row]:
    """Milliseconds for the named model and the next ones on the shelf, with SEEDS seeds each."""
    names = usable(Engine().models())
    models = [name for name in names if name != model][: MAX_MODELS - 1]
    models.insert(0, model)
    note = f"{', '.join(models)}; {SEEDS} seeds each; median of {MOVES}"
    yield Row(
        "four models side by side: slider moved → all pictures on screen", _on_screen(models), "ms", BAR, note=note
    )
    yield Row("of it the server's handler, four models", _on_server(models), "ms", note=f"median of {MOVES}")


def _on_screen(models: list[str]) -> float:
    with opened() as page:
        page.get_by_role("tab", name="Lab", exact=True).click()
        sections = page.locator(".beside section")
        sections.first.wait_for(timeout=PATIENCE)
        field = page.get_by_label("Models", exact=True)
        there = sections.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
        for name in [name for name in models if name not in there]:
            field.click()
            page.get_by_role("option", name=name, exact=True).click()
            page.locator(f".beside section[aria-label='{name}']").wait_for(timeout=PATIENCE)
        page.keyboard.press("Escape")
        page.wait_for_timeout(1000)
        return moved(page, MOVE, MOVES, 3)


def _on_server(models: list[str]) -> float:
    jobs = LabJobs(Engine())
    times = []
    for move in range(MOVES + 3):
        start = time.perf_counter()
        for _ in jobs.beside(models, 1, SEEDS, 0.3 + 0.02 * move):
            pass
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[3:])
