"""The Lab's bench for training; it is there in the local profile alone."""

from typing import Any

import gradio as gr

from studio.models.bounds import RESOLUTIONS
from studio.ui.explore import picture_box
from studio.ui.handlers import WORK, Parts, connect, status
from studio.ui.lab_train_jobs import ACTIVATED, OWN, TrainJobs, activation_choices

PREFIX = "train_"
TICK = 2.0  # seconds
LOOKED = "list listed live lively finished timer model lab_models find_target"


def layout() -> dict[str, Any]:
    """The components of the bench, by name."""
    states = {"upload": None, "listed": "", "lively": "", "finished": ""}
    parts: dict[str, Any] = {name: gr.State(value) for name, value in states.items()}
    parts["timer"] = gr.Timer(TICK, active=False)
    parts["none"] = gr.HTML(elem_classes="critic-none", apply_default_css=False)
    with gr.Row(elem_classes="bench train-bench", equal_height=False):
        with gr.Column(elem_classes="bench-rail", min_width=230):
            parts |= _order()
        with gr.Column(elem_classes="bench-main", min_width=320):
            parts["list"] = picture_box("runs-box")
            parts["live"] = gr.HTML(elem_classes="live-box", apply_default_css=False)
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def _order() -> dict[str, Any]:
    choices = activation_choices()
    parts: dict[str, Any] = {
        "name": gr.Textbox("", label="Name of the model", max_length=60),
        "folder": gr.Textbox("", label="Folder of pictures", info="A subfolder is a class.", max_length=4096),
        "zip_file": gr.UploadButton(
            "Or choose a zip of it", file_types=[".zip"], type="filepath", size="sm", elem_classes="to-photo"
        ),
        "recipe": gr.Dropdown([], label="Recipe", filterable=False),
        "summary": gr.HTML(apply_default_css=False),
        "resolution": gr.Dropdown(
            [(f"{side} px", side) for side in RESOLUTIONS], value=64, label="Size of its pictures", filterable=False
        ),
    }
    labels = ("Activation of the generator", "Activation of the discriminator")
    for field, label in zip(ACTIVATED, labels, strict=True):
        parts[field] = gr.Dropdown(choices, value=OWN, label=label, filterable=False)
    parts["minutes"] = gr.Slider(1, 600, 30, step=1, label="Minutes", buttons=[])
    parts["start_button"] = gr.Button("Train", variant="primary")
    parts["status"] = gr.HTML(status(), elem_classes="status-box")
    return parts


def wire(parts: Parts, jobs: TrainJobs) -> None:
    """Connect the bench's events."""
    tab: dict[str, Any] = {"prefix": PREFIX}
    activated = " ".join(["summary", *ACTIVATED])
    connect(parts["lab_tab"].select, jobs.enter, parts, f"none recipe {activated} {LOOKED}", **WORK, **tab)
    connect(parts["train_timer"].tick, jobs.watch, parts, LOOKED, concurrency_id="watch", concurrency_limit=4, **tab)
    connect(parts["train_recipe"].input, jobs.choose, parts, activated, **WORK, **tab)
    connect(parts["train_zip_file"].upload, jobs.bring, parts, "upload status", **WORK, **tab)
    connect(parts["train_start_button"].click, jobs.start, parts, "upload status list listed", **WORK, **tab)
    for name in ("pause", "resume", "keep", "forget"):
        connect(getattr(parts["train_list"], name), getattr(jobs, name), parts, "list listed", **WORK, **tab)
