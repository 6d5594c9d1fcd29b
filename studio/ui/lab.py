"""The Lab: models side by side, the critic, a picture of one's own in a model, training, and the studies."""

from typing import Any

import gradio as gr

from studio.engine import Engine
from studio.settings import Settings
from studio.ui import lab_find, lab_studies, lab_train
from studio.ui import lab_views as views
from studio.ui.explore import picture_box
from studio.ui.handlers import LIVE, WORK, Parts, connect
from studio.ui.lab_find_jobs import FindJobs
from studio.ui.lab_jobs import JUDGED, LAB, MAX_MODELS, TO_JUDGE, LabJobs
from studio.ui.lab_train_jobs import TrainJobs
from studio.ui.opening import OpeningJobs
from studio.ui.style import PICTURES

__all__ = ["LAB", "layout", "wire"]
PREFIX = "lab_"
JUDGEMENT = "judged critic_view bars"


def layout(settings: Settings) -> dict[str, Any]:
    """The components of the tab, by name."""
    parts: dict[str, Any] = {}
    with gr.Tabs(selected="beside", elem_classes="benches") as parts["benches"]:
        with gr.Tab("Side by side", id="beside"):
            parts |= _beside(settings)
        with gr.Tab("Critic", id="critic", render_children=True):
            parts |= _critic()
        with gr.Tab("Your picture", id="find", render_children=True):
            found = lab_find.layout(settings)
        if settings.profile == "local":
            with gr.Tab("Train", id="train", render_children=True):
                found |= lab_train.layout()
        with gr.Tab("Studies", id="studies", render_children=True):
            found |= lab_studies.layout()
    return {**{f"{PREFIX}{name}": part for name, part in parts.items()}, **found}


def _beside(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    most = min(8, settings.max_count)
    with gr.Row(elem_classes="bench", equal_height=False):
        with gr.Column(elem_classes="bench-rail", min_width=230):
            parts["models"] = gr.Dropdown(
                [], value=[], multiselect=True, max_choices=MAX_MODELS, label="Models", info="Two to four."
            )
            parts["seed"] = _slider("First seed", 0, 9999, 1, 1)
            parts["truncation"] = _slider("Truncation", 0, 1.5, 0.8, 0.01)
            parts["count"] = _slider("Seeds in a row", 1, most, min(4, most), 1)
            parts["dice_button"] = gr.Button("Other seeds", size="sm")
        with gr.Column(elem_classes="bench-main", min_width=320):
            parts["rows"] = picture_box("beside-box", views.side_by_side(()))
            parts["card"] = gr.Markdown("", sanitize_html=True, elem_classes="lab-card", latex_delimiters=[])
    return parts


def _slider(label: str, low: float, high: float, value: float, step: float, **more: Any) -> Any:
    return gr.Slider(low, high, value, step=step, label=label, buttons=[], **more)


def _critic() -> dict[str, Any]:
    parts: dict[str, Any] = {"judged": gr.State(None)}
    parts["critic_none"] = gr.HTML(elem_classes="critic-none", apply_default_css=False)
    with gr.Row(elem_classes="bench critic-bench", equal_height=False):
        with gr.Column(elem_classes="bench-rail", min_width=230):
            parts["critic_file"] = upload(JUDGED)
            parts["bars"] = picture_box("bars-box")
        with gr.Column(elem_classes="bench-main", min_width=320):
            parts["critic_view"] = gr.HTML(views.drop_place(JUDGED, TO_JUDGE), apply_default_css=False)
    return parts


def upload(label: str, **more: Any) -> Any:
    """A button that takes a picture."""
    options: dict[str, Any] = {"file_types": PICTURES, "type": "filepath", "size": "sm", **more}
    return gr.UploadButton(label, elem_classes="to-photo", **options)


def wire(parts: Parts, engine: Engine, opening: OpeningJobs, about: str) -> list[Any]:
    """Connect the tab's events. about: what the page shows of another model. → the jobs that Stop and Esc end."""
    jobs = LabJobs(engine)
    tab: dict[str, Any] = {"prefix": PREFIX}
    rows: dict[str, Any] = {**tab, "place": "lab_rows"}
    arrivals = [parts["lab_tab"].select]
    if engine.settings.profile == "local":
        lab_train.wire(parts, TrainJobs(engine))
    for arrival in arrivals:
        connect(arrival, jobs.enter, parts, "models critic_none rows", **WORK, **rows)
    for name in ("models", "seed", "truncation", "count"):
        connect(parts[f"lab_{name}"].input, jobs.beside, parts, "rows", **LIVE, **rows)
    connect(parts["lab_dice_button"].click, jobs.dice, parts, "seed rows", **WORK, **rows)
    connect(parts["lab_rows"].card, jobs.card, parts, "card", **WORK, **tab)
    judging: dict[str, Any] = {**WORK, **tab, "place": "lab_critic"}
    connect(parts["lab_critic_file"].upload, jobs.take, parts, JUDGEMENT, **judging)
    connect(parts["lab_bars"].choose, jobs.look, parts, "critic_view bars", **judging)
    sent = " ".join(["tabs", "lab_benches", *(f"lab_{name}" for name in JUDGEMENT.split())])
    connect(parts["to_critic_button"].click, jobs.explored, parts, sent, **WORK, place="lab_critic")
    lab_studies.wire(parts, engine.settings)
    return lab_find.wire(parts, FindJobs(engine, opening), about, engine.settings, arrivals)
