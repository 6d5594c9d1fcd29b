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
PROBED = "activations"  # the study that looks into its networks
MOST = 6  # lines in the plot of gradients
Row = dict[str, Any]


def layout() -> dict[str, Any]:
    """The components of the bench, by name: for each study a sentence, its document and two plots."""
    parts: dict[str, Any] = {}
    for name in DOCUMENTS:
        with gr.Column(elem_classes="study"):
            gr.HTML(f"<h3>What {name} do</h3>", elem_classes="lab-head", apply_default_css=False)
            parts[f"{name}_none"] = gr.HTML(elem_classes="critic-none", apply_default_css=False)
            with gr.Row(elem_classes="study-plots"):
                parts[f"{name}_{QUALITY}"] = _plot("place", "KID", "seed", "KID of each seed, the best setting first")
                parts[f"{name}_{GRADIENT}"] = _plot("pictures seen", "gradient", "setting", "Gradients over time")
            parts[f"{name}_chosen"] = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                max_choices=MOST,
                label="Gradients of these settings",
                visible=False,
            )
            parts[f"{name}_grid"] = gr.HTML(elem_classes="study-grid", apply_default_css=False)
            parts[f"{name}_text"] = gr.Markdown("", sanitize_html=True, elem_classes="lab-study", latex_delimiters=[])
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def _plot(x: str, y: str, color: str, title: str) -> Any:
    return gr.LinePlot(
        None,
        x=x,
        y=y,
        color=color,
        tooltip="all",
        title=title,
        height=300,
        visible=False,
        caption="Drag to zoom, double-click out.",
    )


def wire(parts: Parts, settings: Settings) -> None:
    """Connect the bench's events."""
    kinds = ("none", QUALITY, GRADIENT, "chosen", "grid", "text")
    shown = " ".join(f"{name}_{kind}" for name in DOCUMENTS for kind in kinds)
    connect(
        parts["lab_tab"].select,
        entering(DOCS, settings.home / "studies", settings.allow_paths),
        parts,
        shown,
        **WORK,
        prefix=PREFIX,
    )
    choose = choosing(DOCS, settings.home / "studies")
    connect(parts[f"{PREFIX}{PROBED}_chosen"].input, choose, parts, f"{PROBED}_{GRADIENT}", prefix=PREFIX)
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
            records = found(docs, studies, name)
            order = ranked(records)
            chosen = list(dict.fromkeys(order[place] for place in (0, len(order) // 2, -1))) if order else []
            view[f"{name}_none"] = "" if text or records else absent(name, str(studies / name) if paths else "STUDY")
            view[f"{name}_grid"] = pictured(docs / f"{name}.webp", f"The same seeds by each model of {name}")
            view[f"{name}_text"] = harmless(text)
            for kind, rows in ((QUALITY, qualities(records)), (GRADIENT, gradients(records, chosen))):
                view[f"{name}_{kind}"] = _drawn(rows)
            probed = any(record.get("probes") for record in records)
            view[f"{name}_chosen"] = gr.Dropdown(choices=order, value=chosen, multiselect=True, visible=probed)
        yield view

    return enter


def choosing(docs: Path, studies: Path) -> Callable[[list[str]], Iterator[View]]:
    """A handler that draws the gradients of other settings."""

    def choose(activations_chosen: list[str]) -> Iterator[View]:
        rows = gradients(found(docs, studies, PROBED), activations_chosen or ())
        yield {f"{PROBED}_{GRADIENT}": _drawn(rows)}

    return choose


def _drawn(rows: Sequence[Row]) -> Any:
    return gr.LinePlot(value=pd.DataFrame(rows) if rows else None, visible=bool(rows))


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


def found(docs: Path, studies: Path, name: str) -> list[Mapping[str, Any]]:
    """A study's records: those that were made here, or those that came with its document."""
    return _records(studies / name) or _summary(docs / f"{name}.json")


def _records(folder: Path) -> list[Mapping[str, Any]]:
    """The sound records of a study's folder."""
    return _sound(read_json(file) for file in sorted(folder.glob(f"runs/*/{DONE}")))


def _summary(path: Path) -> list[Mapping[str, Any]]:
    """The records that came with a document."""
    told = read_json(path)
    return _sound(told) if isinstance(told, list) else []


def _sound(told: Iterable[Any]) -> list[Mapping[str, Any]]:
    return [record for record in told if isinstance(record, dict) and isinstance(record.get("plan"), dict)]


def kid(record: Mapping[str, Any]) -> float:
    """Not a number where it was not measured."""
    features = str(record["plan"]["features"]).partition("=")[0]
    return float(record.get("metrics", {}).get(f"kid-{features}", math.nan))


def ranked(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings that were judged, the lowest mean KID first."""
    values: dict[str, list[float]] = {}
    for record in records:
        if math.isfinite(kid(record)):
            values.setdefault(record["plan"]["setting"], []).append(kid(record))
    return sorted(values, key=lambda setting: sum(values[setting]) / len(values[setting]))


def qualities(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each run that was judged: its setting and the place of that, its seed and its KID."""
    places = {setting: place for place, setting in enumerate(ranked(records), 1)}
    rows = [
        {
            "place": places[record["plan"]["setting"]],
            "KID": kid(record),
            "seed": f"seed {record['plan']['seed']}",
            "setting": record["plan"]["setting"],
        }
        for record in records
        if math.isfinite(kid(record))
    ]
    return sorted(rows, key=lambda row: (row["seed"], row["place"]))


def gradients(records: Sequence[Mapping[str, Any]], settings: Sequence[str]) -> list[Row]:
    """A row for each of the settings and look into it: the norm of the gradients, mean over layers, networks and
    seeds."""
    norms: dict[tuple[str, int], list[float]] = {}
    for record in records:
        setting = record["plan"]["setting"]
        for probe in record.get("probes", ()) if setting in settings else ():
            each = [norm for player in PLAYERS for norm in probe["gradients"].get(player, {}).values()]
            norms.setdefault((setting, probe["images"]), []).extend(each)
    return [
        {"setting": setting, "pictures seen": images, "gradient": sum(each) / len(each)}
        for (setting, images), each in sorted(norms.items())
        if each
    ]
