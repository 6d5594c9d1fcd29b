"""The Lab's bench for the studies: their documents' tables, and plots of their records that can be zoomed."""

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd  # type: ignore[import-untyped]  # gradio's own form of a plot's values

from studio.settings import Settings
from studio.study.records import DONE, read_json
from studio.ui.handlers import WORK, Parts, View, connect
from studio.ui.lab_views import harmless

PREFIX = "study_"
DOCUMENTS = {"activations": "ACTIVATIONS.md", "objectives": "OBJECTIVES.md"}
DOCS = Path(__file__).resolve().parents[2] / "docs"
PLAYERS = ("generator", "discriminator")
QUALITY, GRADIENT = "kid", "gradient"
Row = dict[str, Any]


def layout() -> dict[str, Any]:
    """The components of the bench, by name: for each study a sentence, its document and two plots."""
    parts: dict[str, Any] = {}
    for name in DOCUMENTS:
        with gr.Column(elem_classes="study"):
            gr.HTML(f"<h3>What {name} do</h3>", elem_classes="lab-head", apply_default_css=False)
            parts[f"{name}_none"] = gr.HTML(elem_classes="critic-none", apply_default_css=False)
            with gr.Row(elem_classes="study-plots"):
                parts[f"{name}_{QUALITY}"] = _plot("seed", "KID", "KID of each seed, lower is better")
                parts[f"{name}_{GRADIENT}"] = _plot("pictures seen", "gradient", "Norm of the gradients over time")
            parts[f"{name}_grid"] = gr.HTML(elem_classes="study-grid", apply_default_css=False)
            parts[f"{name}_text"] = gr.Markdown("", sanitize_html=True, elem_classes="lab-study", latex_delimiters=[])
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def _plot(x: str, y: str, title: str) -> Any:
    return gr.LinePlot(
        None,
        x=x,
        y=y,
        color="setting",
        title=title,
        height=300,
        visible=False,
        caption="Drag to zoom, double-click out.",
    )


def wire(parts: Parts, settings: Settings) -> None:
    """Connect the bench's events."""
    shown = " ".join(f"{name}_{kind}" for name in DOCUMENTS for kind in ("none", QUALITY, GRADIENT, "grid", "text"))
    connect(
        parts["lab_tab"].select,
        entering(DOCS, settings.home / "studies", settings.allow_paths),
        parts,
        shown,
        **WORK,
        prefix=PREFIX,
    )
    for name in DOCUMENTS:
        for kind in (QUALITY, GRADIENT):
            plot = parts[f"{PREFIX}{name}_{kind}"]
            connect(plot.select, zooming(f"{name}_{kind}"), parts, f"{name}_{kind}", prefix=PREFIX)
            connect(plot.double_click, whole(f"{name}_{kind}"), parts, f"{name}_{kind}", prefix=PREFIX)


def entering(docs: Path, studies: Path, paths: bool = True) -> Callable[[], Iterator[View]]:
    """A handler that shows what there is. docs: of the documents and their records' summaries. studies: where each
    study that was made here has its folder, whose records come first. paths: whether that may be told."""

    def enter() -> Iterator[View]:
        view: View = {}
        for name, document in DOCUMENTS.items():
            text = _text(docs / document)
            records = _records(studies / name) or _summary(docs / f"{name}.json")
            view[f"{name}_none"] = "" if text or records else absent(name, str(studies / name) if paths else "STUDY")
            view[f"{name}_grid"] = pictured(docs / f"{name}.webp", f"The same seeds by each model of {name}")
            view[f"{name}_text"] = harmless(text)
            for kind, rows in ((QUALITY, qualities(records)), (GRADIENT, gradients(records))):
                frame = pd.DataFrame(rows) if rows else None
                view[f"{name}_{kind}"] = gr.LinePlot(value=frame, visible=bool(rows))
        yield view

    return enter


def pictured(path: Path, words: str) -> str:
    """A study's sheet of pictures; nothing where there is none."""
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return ""
    return f'<img src="data:image/webp;base64,{data}" alt="{escape(words)}">'


def absent(name: str, folder: str) -> str:
    """The command that makes a study, as a sentence."""
    command = f"studio study {name} --data PICTURES --test-data OTHERS --out {escape(folder)} --report docs"
    return f'<p class="quiet">Not run yet; this command makes it: <code>{command}</code></p>'


def zooming(plot: str) -> Callable[..., Iterator[View]]:
    """A handler that shows the part of a plot that was dragged over."""

    def zoom(event: Mapping[str, Any]) -> Iterator[View]:
        index = event.get("index")
        if isinstance(index, Sequence) and len(index) == 2 and event.get("selected"):
            yield {plot: gr.LinePlot(x_lim=[float(index[0]), float(index[1])])}

    return zoom


def whole(plot: str) -> Callable[[], Iterator[View]]:
    """A handler that shows a whole plot again."""

    def show() -> Iterator[View]:
        yield {plot: gr.LinePlot(x_lim=None)}

    return show


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _records(folder: Path) -> list[Mapping[str, Any]]:
    """The sound records of a study's folder."""
    return _sound(read_json(file) for file in sorted(folder.glob(f"runs/*/{DONE}")))


def _summary(path: Path) -> list[Mapping[str, Any]]:
    """The records that came with a document."""
    found = read_json(path)
    return _sound(found) if isinstance(found, list) else []


def _sound(found: Iterable[Any]) -> list[Mapping[str, Any]]:
    return [record for record in found if isinstance(record, dict) and isinstance(record.get("plan"), dict)]


def qualities(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each run that was judged: its setting, its seed and its KID."""
    rows = []
    for record in records:
        plan, metrics = record["plan"], record.get("metrics", {})
        value = metrics.get(f"kid-{str(plan['features']).partition('=')[0]}", math.nan)
        if math.isfinite(value):
            rows.append({"setting": plan["setting"], "seed": plan["seed"], "KID": value})
    return rows


def gradients(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each setting and look into it: the norm of the gradients, mean over layers, networks and seeds."""
    found: dict[tuple[str, int], list[float]] = {}
    for record in records:
        for probe in record.get("probes", ()):
            norms = [norm for player in PLAYERS for norm in probe["gradients"].get(player, {}).values()]
            found.setdefault((record["plan"]["setting"], probe["images"]), []).extend(norms)
    return [
        {"setting": setting, "pictures seen": images, "gradient": sum(norms) / len(norms)}
        for (setting, images), norms in sorted(found.items())
        if norms
    ]
