"""The Lab's bench for a picture of one's own: its place in a model, and directions to move it along."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio.settings import Settings
from studio.ui import lab_views as views
from studio.ui.explore import HANG, SHOW
from studio.ui.handlers import LIVE, WORK, Parts, connect, status
from studio.ui.lab_find_jobs import CHOOSE, KINDS, NONE, RANKS, TO_FIND, FindJobs
from studio.ui.style import PICTURES

PREFIX = "find_"
SLIDERS = " ".join([*(f"along{index}" for index in range(RANKS)), "along_named"])
MEANT = f"target subject ranked named found {SLIDERS}"
FOUND = f"subject stage status {SLIDERS}"


def layout(settings: Settings) -> dict[str, Any]:
    """The components of the bench, by name."""
    parts: dict[str, Any] = {"image": gr.State(None), "subject": gr.State(None), "found": gr.State({})}
    with gr.Row(elem_classes="bench", equal_height=False):
        with gr.Column(elem_classes="bench-rail", min_width=230):
            parts["file"] = gr.UploadButton(
                CHOOSE, file_types=PICTURES, type="filepath", size="sm", elem_classes="to-photo"
            )
            parts["borrow_button"] = gr.Button("Bring the one in Explore", size="sm")
            parts["target"] = gr.Dropdown([], label="In the model", filterable=False)
            parts["seconds"] = gr.Slider(1, 60, 5, step=1, label="Seconds to look", buttons=[])
            with gr.Row(elem_classes="run-row"):
                parts["search_button"] = gr.Button("Find", variant="primary", min_width=100, scale=3)
                parts["stop"] = gr.Button("Stop", min_width=60, scale=1, elem_classes="stop")
            parts["status"] = gr.HTML(status(), elem_classes="status-box")
        with gr.Column(elem_classes="bench-main", min_width=320):
            parts["stage"] = gr.HTML(
                views.drop_place(CHOOSE, TO_FIND), elem_classes="find-stage", apply_default_css=False
            )
            with gr.Row(elem_classes="actions"):
                parts["explore_button"] = gr.Button("Explore it", size="sm", min_width=110)
            parts |= _directions(settings)
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def _directions(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    gr.HTML("<h3>Directions</h3>", elem_classes="lab-head", apply_default_css=False)
    parts["ranked"] = gr.Radio(
        [(words, name) for name, words in KINDS.items()], value="sefa", label="Found by", elem_classes="late"
    )
    with gr.Row(elem_classes="lab-grid"):
        for index in range(RANKS):
            parts[f"along{index}"] = _slider(f"Direction {index + 1}")
    with gr.Row(elem_classes="lab-grid"):
        parts["named"] = gr.Dropdown([("None", NONE)], value=NONE, label="Named direction", filterable=False)
        parts["along_named"] = _slider("Along it")
        parts["more_class"] = gr.Dropdown([], label="More of a class, by the critic", filterable=False)
        parts["more_button"] = gr.Button("Find this direction", size="sm")
    ranks = [(f"Direction {index + 1}", index) for index in range(RANKS)]
    with gr.Row(elem_classes="lab-grid", visible=settings.profile == "local"):
        parts["which"] = gr.Dropdown(
            [("The named one", NONE), *ranks], value=0, label="Keep with the model", filterable=False
        )
        parts["name"] = gr.Textbox("", label="Under the name", max_length=80)
        parts["keep_button"] = gr.Button("Name and keep", size="sm")
    return parts


def _slider(label: str) -> Any:
    return gr.Slider(-4, 4, 0, step=0.05, label=label, buttons=[], min_width=140)


def wire(parts: Parts, jobs: FindJobs, about: str, settings: Settings, arrivals: Sequence[Any]) -> list[Any]:
    """Connect the bench's events. → the jobs that Stop and Esc end.

    about: what the page shows of another model. arrivals: the events after which there may be other models.
    """
    tab: dict[str, Any] = {"prefix": PREFIX}
    stage: dict[str, Any] = {**WORK, **tab, "place": "find_stage"}
    for arrival in arrivals:
        connect(arrival, jobs.enter, parts, "target more_class named", **WORK, **tab)
    connect(parts["find_target"].input, jobs.choose, parts, f"subject found named status {SLIDERS}", **stage)
    connect(parts["find_file"].upload, jobs.take, parts, f"image {FOUND}", **stage)
    connect(parts["find_borrow_button"].click, jobs.borrow, parts, f"target named {FOUND}", **stage)
    for name in ("ranked", "named", *SLIDERS.split()):
        connect(parts[f"find_{name}"].input, jobs.live, parts, "stage", **LIVE, **tab, place="find_stage")
    if settings.profile == "local":
        connect(parts["find_keep_button"].click, jobs.keep, parts, "found named status", **WORK, **tab)
    ours = {name: parts[f"{PREFIX}{name}"] for name in MEANT.split()}  # what is shown belongs to Explore
    arrived = " ".join(f"model {about} tables tabs {HANG} {SHOW} strip strip_view".split())
    connect(parts["find_explore_button"].click, jobs.explore, {**parts, **ours}, arrived, **WORK, place="wall")
    connect(parts["find_stop"].click, jobs.stopped, parts, "status", **tab)
    return [
        connect(parts["find_search_button"].click, jobs.search, parts, FOUND, **stage),
        connect(parts["find_more_button"].click, jobs.more, parts, "found named status", **WORK, **tab),
    ]
