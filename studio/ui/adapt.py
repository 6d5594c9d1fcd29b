"""The Adapt tab: pictures of the artist's own, a generator that moves towards them, and what to do with it then."""

from typing import Any

import gradio as gr

from studio.adapt.methods import METHODS
from studio.engine import Engine
from studio.engine.adapt_requests import AUTO
from studio.settings import Settings
from studio.ui import adapt_views as views
from studio.ui.adapt_jobs import UNTIL_STOPPED, AdaptJobs
from studio.ui.adapt_opening import AdaptOpening
from studio.ui.explore import PAINTED, picture_box
from studio.ui.handlers import LIVE, WORK, Parts, connect, status
from studio.ui.large import afterwards
from studio.ui.style import PICTURES, fold, scripted

PREFIX = "adapt_"
LONG: dict[str, Any] = {"concurrency_id": "adapt", "concurrency_limit": 2, "trigger_mode": "multiple"}
SHOW = "done sample rows stage nearest scrub curves status"
LAID = "offered offered_view count status"
BUDGETS = (("20 s", 20), ("1 min", 60), ("3 min", 180))
CROPS = (("The centre square", "square"), ("The whole picture", "whole"))


def layout(engine: Engine, settings: Settings) -> dict[str, Any]:
    """The components of the tab, by name."""
    parts: dict[str, Any] = {
        "pictures": gr.State(engine.pictures()),
        "offered": gr.State(()),
        "done": gr.State(None),
        "sample": gr.State(0),
    }
    parts["none"] = gr.HTML(elem_classes="adapt-none", apply_default_css=False)
    with gr.Row(elem_classes="desk adapt-desk", equal_height=False):
        with gr.Column(elem_classes="rail", min_width=230):
            parts |= _rail(settings)
        with gr.Column(elem_classes="middle", min_width=320):
            parts["rows"] = picture_box("rows-box")
            parts["offered_view"] = picture_box("offered-box", views.offered((), {}, {}))
            parts["count"] = gr.HTML(elem_classes="count-box", apply_default_css=False)
        with gr.Column(elem_classes="easel", min_width=320):
            parts |= _easel(settings)
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def _rail(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="tool-row"):
        parts["files"] = gr.UploadButton(
            "Add your pictures",
            file_types=PICTURES,
            file_count="multiple",
            type="filepath",
            size="sm",
            min_width=120,
            elem_classes="to-own",
        )
        parts["clear_button"] = gr.Button("Remove all", size="sm", min_width=90, scale=0)
    parts["crop"] = gr.Radio(list(CROPS), value="square", label="Learn from", elem_classes="crop")
    parts["name"] = gr.Textbox("my hand", label="Name of your class", max_length=60)
    most = settings.max_adapt_seconds
    budgets = [(label, seconds) for label, seconds in BUDGETS if seconds <= most]
    budgets += [("Until I stop", UNTIL_STOPPED)] if most > BUDGETS[-1][1] else []
    parts["budget"] = gr.Radio(budgets, value=min(60, budgets[-1][1]), label="Time", elem_classes="budget")
    with gr.Row(elem_classes="run-row"):
        parts["run_button"] = gr.Button("Adapt", variant="primary", min_width=100, scale=3, elem_classes="run")
        parts["stop"] = gr.Button("Stop", min_width=60, scale=1, elem_classes="stop")
    parts["status"] = gr.HTML(status(), elem_classes="status-box")
    with fold("Base and method"):
        parts["base"] = gr.Dropdown([(AUTO, AUTO)], value=AUTO, label="Base", filterable=False)
        methods = [("auto: a short trial on your pictures decides", AUTO)]
        methods += [(f"{name}: {METHODS[name].summary}", name) for name in METHODS.names()]
        parts["method"] = gr.Radio(methods, value=AUTO, label="Method", elem_classes="methods")
    return parts


def _easel(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {"stage": scripted("stage-box compare-box square-box", views.STAGE, "compare.js", None)}
    with gr.Row(elem_classes="scrub"):
        parts["scrub"] = gr.Slider(0, 1, 0, step=1, label="Snapshot", buttons=[], interactive=False)
    with gr.Row(elem_classes="actions"):
        parts["explore_button"] = gr.Button("Explore it", variant="primary", size="sm", min_width=90)
        parts["mix_button"] = gr.Button("Mix it in Classes", size="sm", min_width=120)
        parts["download_button"] = gr.Button("Download", size="sm", min_width=90)
        if settings.allow_paths:
            parts["keep_button"] = gr.Button("Keep in my library", size="sm", min_width=130)
            parts["replace"] = gr.Checkbox(
                False, label="replace", container=False, min_width=80, elem_classes="keep-recipe"
            )
    parts["nearest"] = gr.HTML(elem_classes="nearest-box", apply_default_css=False)
    parts["curves"] = gr.HTML(elem_classes="curves-box", apply_default_css=False)
    if settings.allow_paths:
        parts["file"] = gr.UploadButton(
            "Open an adapter file", file_types=[".safetensors"], type="filepath", size="sm", elem_classes="to-adapter"
        )
    return parts


def wire(parts: Parts, jobs: AdaptJobs) -> list[Any]:
    """Connect the tab's events. → the jobs that Stop and Esc end."""
    tab: dict[str, Any] = {"prefix": PREFIX}
    laid: dict[str, Any] = {**WORK, **tab, "place": "adapt_offered"}
    job: dict[str, Any] = {**tab, "place": "adapt"}
    long = [connect(parts["adapt_run_button"].click, jobs.adapt, parts, SHOW, **LONG, **job)]
    stopped = connect(parts["adapt_stop"].click, jobs.stopped, parts, SHOW, **WORK, **job)
    connect(parts["adapt_files"].upload, jobs.add, parts, LAID, **laid)
    connect(parts["adapt_offered_view"].discard, jobs.discard, parts, "offered offered_view count", **laid)
    connect(parts["adapt_clear_button"].click, jobs.clear, parts, "offered offered_view count", **laid)
    staged: dict[str, Any] = {**tab, "place": "adapt_stage"}
    connect(parts["adapt_scrub"].input, jobs.scrubbed, parts, "rows stage nearest", **LIVE, **staged)
    picked = connect(
        parts["adapt_rows"].pick, jobs.pick, parts, "sample stage nearest", trigger_mode="multiple", **staged
    )
    connect(parts["adapt_scrub"].release, jobs.large, parts, "stage", **staged)
    for dependency in (*long, stopped, picked):
        afterwards(dependency, jobs.large, parts, PREFIX)
    connect(parts["adapt_download_button"].click, jobs.download, parts, "outbox status", **tab)
    connect(parts["adapt_tab"].select, jobs.enter, parts, "none base", **tab)
    return long


def wire_departures(parts: Parts, jobs: AdaptOpening, about: str) -> tuple[list[Any], Any]:
    """Connect the buttons by which an adapted model leaves. about: the outputs of a change of model.

    → the jobs that Stop and Esc end, and what the grid of the Classes tab follows.
    """
    switched = f"tabs model held {about} tables strip strip_view"
    wall: dict[str, Any] = {**WORK, "place": "wall"}
    long = [connect(parts["adapt_explore_button"].click, jobs.explore, parts, f"{switched} {PAINTED}", **wall)]
    if "adapt_file" in parts:
        long.append(connect(parts["adapt_file"].upload, jobs.opened, parts, f"{switched} {PAINTED}", **wall))
        connect(parts["adapt_keep_button"].click, jobs.keep, parts, "model adapt_status")
    mixed = connect(parts["adapt_mix_button"].click, jobs.mix, parts, f"{switched} room recent", **wall)
    return long, mixed
