"""Style transfer: instant picture and refinement at 512 px, memory at 1024 px, and the first picture on the page.

The model is not used: style transfer has its own. A peer is measured only where it is given: a program that is called
with the content's and the style's file and prints one JSON line {"cpu_seconds": …} for one 512 px picture, style
included.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gradio.media import get_image
from PIL import Image

from bench.browser import PATIENCE, browser
from bench.startup import app, free_port, wait_for_page
from bench.table import Row
from studio import Engine, StylizeRequest, result_of

CONTENT, STYLE = "tower.jpg", "lion.jpg"  # of the pictures that come with gradio
RUNS = 7
BAR_PREVIEW, BAR_REFINE, BAR_INSTANT_MEMORY, BAR_REFINED_MEMORY = 0.7, 45.0, 2.0, 3.0

# One job in a process of its own; prints the largest resident memory it has had, in bytes.
MEMORY = """
import resource, sys
from studio import Engine, StylizeRequest, result_of
content, style, fast = sys.argv[1], sys.argv[2], sys.argv[3] == "fast"
engine = Engine()
pictures = engine.pictures()
names = pictures.add(content), pictures.add(style)
request = StylizeRequest(content=names[0], styles=[names[1]], size=1024, steps=12, fast=fast)
result_of(engine.stylize(request, pictures))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""

# From the moment that a photo is given to the page to the moment that its stylised picture is painted.
WATCH = """async () => {
  const shown = () => document.querySelector(".compare .after");
  while (document.querySelector(".compare b").textContent !== "Instant") await new Promise(requestAnimationFrame);
  await shown().decode();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now();
}"""


def measure(model: str, peer: str | None = None) -> Iterator[Row]:
    """Figures of the shipped models. peer: a program to compare with, see above."""
    del model
    content, style = get_image(CONTENT), get_image(STYLE)
    yield from _instant(content, style, peer)
    yield Row("refinement at 512 px, default settings", _refined(content, style), "s", BAR_REFINE)
    for name, bar in (("fast", BAR_INSTANT_MEMORY), ("refined", BAR_REFINED_MEMORY)):
        yield Row(f"memory at 1024 px, {name}", _memory(content, style, name) / 1e9, "GB", bar)
    yield Row("photo given → first picture on screen", _first_preview(content), "s", BAR_PREVIEW, note="warm models")


def _instant(content: str, style: str, peer: str | None) -> Iterator[Row]:
    """CPU and wall seconds of one instant picture, both pictures looked at anew."""
    engine = Engine()
    pictures, cpu, wall = engine.pictures(), [], []
    photo, painting = (pictures[pictures.add(source)] for source in (content, style))
    for run in range(RUNS):
        names = [pictures.add(image.crop((0, 0, image.width - run, image.height))) for image in (photo, painting)]
        request = _request(names[0], names[1], fast=True)  # pictures not seen before
        began, spent = time.perf_counter(), time.process_time()
        result_of(engine.stylize(request, pictures))
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    seconds, bar = statistics.median(cpu[1:]), None
    if peer is not None:
        answer = subprocess.run([peer, content, style], check=True, capture_output=True, text=True)
        bar = float(json.loads(answer.stdout.splitlines()[-1])["cpu_seconds"])
    yield Row("instant picture at 512 px, style included", seconds, "CPU s", bar, note=f"median of {RUNS - 1}")
    yield Row("instant picture at 512 px, wall clock", statistics.median(wall[1:]), "s")


def _request(content: str, style: str, fast: bool = False) -> StylizeRequest:
    return StylizeRequest.model_validate({"content": content, "styles": [style], "fast": fast})


def _refined(content: str, style: str) -> float:
    """Seconds of one refinement at the defaults, models loaded."""
    engine = Engine()
    pictures = engine.pictures()
    names = pictures.add(content), pictures.add(style)
    result_of(engine.stylize(_request(names[0], names[1], fast=True), pictures))
    began = time.perf_counter()
    result_of(engine.stylize(_request(names[0], names[1]), pictures))
    return time.perf_counter() - began


def _memory(content: str, style: str, kind: str) -> float:
    """Largest resident memory of a process that does one job at 1024 px, in bytes."""
    command = [sys.executable, "-c", MEMORY, content, style, kind]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    return float(answer.stdout)


def _first_preview(content: str) -> float:
    """Seconds in a real Chromium, with a masterwork chosen and the models loaded by another photo before."""
    from playwright.sync_api import sync_playwright  # not needed by the other benchmarks

    port = free_port()
    photo = Image.open(content).convert("RGB")
    with tempfile.TemporaryDirectory() as home, app(port, {"STUDIO_HOME": home}) as process:
        wait_for_page(f"http://127.0.0.1:{port}/", process)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(PATIENCE)
            page.goto(f"http://127.0.0.1:{port}/")
            page.get_by_role("tab", name="Style").click()
            page.locator(".masters .picture").first.click()
            times = []
            for run in range(5):
                given = Path(home) / f"{run}.png"  # a photo of its own each time: the same one would change nothing
                photo.crop((0, 0, photo.width - run, photo.height)).save(given)
                page.wait_for_timeout(1500)
                page.evaluate("document.querySelector('.compare b').textContent = ''")
                began = page.evaluate("performance.now()")
                page.set_input_files("input[data-testid='Choose a photo-upload-button']", os.fspath(given))
                times.append((page.evaluate(WATCH) - began) / 1000)
            chromium.close()
    return statistics.median(times[1:])
