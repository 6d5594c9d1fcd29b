"""The Style tab: a photo, up to four styles on a wall and in a palette, the instant picture, and its refinement."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from studio.engine import Engine
from studio.engine.style_requests import STARTS, STEPS, colourings
from studio.settings import Settings
from studio.style.optimisers import OPTIMISERS
from studio.style.refine_config import MAX_STEPS
from studio.style.similarity import SIMILARITIES
from studio.ui import style_views as views
from studio.ui.assets import script
from studio.ui.explore import picture_box
from studio.ui.handlers import LIVE, WORK, Parts, View, connect, status
from studio.ui.style_desk import STAGE, at_desk
from studio.ui.style_jobs import StyleJobs
from studio.ui.style_opening import CONTROLS, StyleOpening

PREFIX = "style_"
PICTURES = [".png", ".jpg", ".jpeg", ".webp", ".gif"]
SIZES = (256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
SHOW = "stage done curves status palette"
TAKEN = f"content photo mask brush {SHOW}"
PLACES = "content photo mask brush own wall_view"
RESTORED = " ".join(f"{PREFIX}{name}" for name in f"{PLACES} {SHOW} {CONTROLS}".split())
ARRIVED = "tabs " + " ".join(f"{PREFIX}{name}" for name in f"{PLACES} {SHOW}".split())
STARTING = {"instant": "The instant picture", "content": "The photo", "noise": "Noise"}
COLOURS = {"none": "The style's"}


def layout(engine: Engine, settings: Settings) -> dict[str, Any]:
    """The components of the tab, by name."""
    parts: dict[str, Any] = {
        "pictures": gr.State(engine.pictures()),
        "content": gr.State(None),
        "mask": gr.State(None),
        "own": gr.State(()),
        "masters": gr.State({}),
        "done": gr.State(None),
        "variants": gr.State(()),
    }
    parts["none"] = gr.HTML(elem_classes="style-none", apply_default_css=False)
    with gr.Row(elem_classes="desk style-desk", equal_height=False):
        with gr.Column(elem_classes="rail", min_width=230):
            parts |= _rail()
        with gr.Column(elem_classes="middle", min_width=320):
            parts["wall_view"] = picture_box("masters-box")
            parts["sheet"] = picture_box("sheet-box")
        with gr.Column(elem_classes="easel", min_width=320):
            parts |= _easel(settings)
            parts |= _refinement(settings)
            parts |= _where()
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def _rail() -> dict[str, Any]:
    parts: dict[str, Any] = {"photo": gr.HTML(views.photo(None), elem_classes="photo-box", apply_default_css=False)}
    parts["file"] = gr.UploadButton(
        "Choose a photo", file_types=PICTURES, type="filepath", size="sm", elem_classes="to-photo"
    )
    parts["palette"] = scripted("palette-box", views.PALETTE, "palette.js", {"styles": []})
    with gr.Row(elem_classes="style-row"):
        parts["files"] = gr.UploadButton(
            "Add style pictures",
            file_types=PICTURES,
            file_count="multiple",
            type="filepath",
            size="sm",
            min_width=130,
            scale=3,
            elem_classes="to-style",
        )
        parts["practise_button"] = gr.Button("Practise", size="sm", min_width=80, scale=2, elem_classes="practise")
    parts["style_weight"] = _slider("Style weight", 0, 1, 1.0)
    parts["content_weight"] = _slider("Content weight", 0, 1, 0.5)
    parts["style_scale"] = _slider("Style scale", 0.25, 2, 1.0)
    with gr.Row(elem_classes="run-row"):
        parts["refine_button"] = gr.Button("Refine", variant="primary", min_width=90, scale=3, elem_classes="run")
        parts["diversify_button"] = gr.Button("Diversify", min_width=80, scale=2)
        parts["stop"] = gr.Button("Stop", min_width=56, scale=1, elem_classes="stop")
    parts["status"] = gr.HTML(status(), elem_classes="status-box")
    return parts


def _slider(label: str, low: float, high: float, value: float, **more: Any) -> Any:
    return gr.Slider(low, high, value, step=0.01, label=label, buttons=[], **more)


def _easel(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {"stage": scripted("stage-box compare-box", views.STAGE, "compare.js", None)}
    with gr.Row(elem_classes="actions"):
        parts["download_button"] = gr.Button("Download PNG", size="sm", min_width=110, elem_classes="download")
        parts["sheet_button"] = gr.Button("Whole sheet", size="sm", min_width=90)
        parts["keep_recipe"] = gr.Checkbox(
            settings.keep_recipe, label="with recipe", container=False, min_width=90, elem_classes="keep-recipe"
        )
    parts["curves"] = gr.HTML(elem_classes="curves-box", apply_default_css=False)
    choices = [(COLOURS.get(name, f"The photo's, {name}"), name) for name in colourings()]
    parts["preserve_color"] = gr.Radio(choices, value="none", label="Colours", elem_classes="colours")
    return parts


def _refinement(settings: Settings) -> dict[str, Any]:
    sizes = [(f"{side} px", side) for side in SIZES if side <= settings.max_style_size]
    starts = [*((STARTING[name], name) for name in STARTS), ("The picture on the stage", STAGE)]
    names = [(name.replace("_", " "), name) for name in SIMILARITIES.names()]
    with fold("Refinement settings"), gr.Row(elem_classes="fold-row"):
        return {
            "size": gr.Dropdown(sizes, value=512, label="Size, long side", filterable=False, min_width=120),
            "steps": gr.Slider(1, min(500, MAX_STEPS), STEPS, step=1, label="Steps", buttons=[], min_width=120),
            "similarity": gr.Dropdown(
                names, value=["gram"], multiselect=True, label="Similarity", filterable=False, min_width=240
            ),
            "optimizer": gr.Dropdown(
                [(name.replace("_", " "), name) for name in OPTIMISERS.names()],
                value="lbfgs",
                label="Optimizer",
                filterable=False,
                min_width=120,
            ),
            "learning_rate": gr.Number(0, label="Learning rate (0: own)", minimum=0, min_width=120),
            "tv": _slider("Smoothness", 0, 10, 0.0, min_width=120),
            "start": gr.Dropdown(starts, value="instant", label="Start from", filterable=False, min_width=120),
            "seed": gr.Textbox("0", label="Seed of the noise", max_length=19, min_width=120),
        }


def _where() -> dict[str, Any]:
    with fold("Where the style goes"):
        return {
            "brush": scripted("brush-box", views.BRUSH, "mask.js", views.brush(None)),
            "mask_file": gr.UploadButton(
                "Mask from a file", file_types=PICTURES, type="filepath", size="sm", elem_classes="to-mask"
            ),
        }


@contextmanager
def fold(label: str) -> Iterator[None]:
    """Controls behind a switch. They stay on the page while hidden, for one that leaves it forgets its value."""
    with gr.Column(elem_classes="fold"):
        gr.Checkbox(False, label=label, container=False, elem_classes="fold-switch")
        with gr.Column(elem_classes="fold-body"):
            yield


def scripted(name: str, template: str, source: str, value: Any) -> Any:
    """A part of the page with a script of its own, which draws its value."""
    return gr.HTML(value, html_template=template, js_on_load=script(source), elem_classes=name, apply_default_css=False)


def wire(parts: Parts, jobs: StyleJobs) -> list[Any]:
    """Connect the tab's events. → the jobs that Stop and Esc end."""
    tab: dict[str, Any] = {"prefix": PREFIX}
    stage: dict[str, Any] = {**tab, "place": "style_stage"}
    work: dict[str, Any] = {**WORK, **stage}
    long = [
        connect(parts["style_refine_button"].click, at_desk(jobs.refine), parts, SHOW, **work),
        connect(parts["style_practise_button"].click, at_desk(jobs.practise), parts, SHOW, **work),
        connect(
            parts["style_diversify_button"].click,
            at_desk(jobs.diversify),
            parts,
            "variants sheet status",
            **WORK,
            **tab,
        ),
    ]
    hung = f"own wall_view {SHOW}"
    connect(parts["style_file"].upload, at_desk(jobs.take), parts, TAKEN, **work)
    connect(parts["style_files"].upload, at_desk(jobs.add), parts, hung, **work)
    connect(parts["style_wall_view"].choose, at_desk(jobs.choose), parts, SHOW, **work)
    connect(parts["style_mask_file"].upload, at_desk(jobs.load_mask), parts, f"mask brush {SHOW}", **work)
    connect(parts["style_brush"].paint, at_desk(jobs.paint), parts, f"mask {SHOW}", **work)
    live = [parts["style_palette"].blend, parts["style_preserve_color"].input]
    live += [parts[f"style_{name}"].input for name in ("style_weight", "content_weight", "style_scale")]
    for trigger in live:
        connect(trigger, at_desk(jobs.live), parts, SHOW, **LIVE, **stage)
    connect(parts["style_stop"].click, at_desk(jobs.stopped), parts, "palette status", **stage)
    connect(parts["style_sheet"].pick, at_desk(jobs.pick), parts, f"similarity start {SHOW}", **work)
    connect(parts["style_download_button"].click, at_desk(jobs.download), parts, "outbox status", **tab)
    connect(parts["style_sheet_button"].click, at_desk(jobs.download_sheet), parts, "outbox status", **tab)
    connect(parts["style_tab"].select, jobs.enter, parts, "none masters wall_view status", **WORK, **tab)
    return long


def wire_arrivals(parts: Parts, jobs: StyleOpening) -> None:
    """Connect the buttons of the other tabs that send a picture here."""
    arrivals: dict[str, Callable[..., Iterator[View]]] = {
        "to_photo_button": jobs.explored,
        "to_style_button": jobs.explored_style,
        "class_to_photo_button": jobs.mixed,
        "class_to_style_button": jobs.mixed_style,
    }
    for button, handler in arrivals.items():
        connect(parts[button].click, at_desk(handler, PREFIX), parts, ARRIVED, **WORK)
