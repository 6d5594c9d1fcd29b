"""The Classes tab: a slider for each class, a labelled grid of classes and seeds, a walk from class to class."""

from typing import Any

import gradio as gr

from studio.engine import Engine
from studio.settings import Settings
from studio.ui import film
from studio.ui.assets import script
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore import adaptation_slider, picture_box, run_row, seed_row, to_style_buttons, truncation_slider
from studio.ui.film import FilmJobs
from studio.ui.handlers import FILM, LIVE, WORK, Parts, connect, status
from studio.ui.large import afterwards, size_choice

MIXER = (
    '<div class="mixer"><div class="rows"></div><div class="evens">'
    '<button type="button" data-even="same">All alike</button>'
    '<button type="button" data-even="chance">By chance</button></div></div>'
)
PREFIX = "class_"
FIRST_SEED = "3"  # of the grid that the tab opens with
HANG = "seed stage grid grid_view status"
GRID: dict[str, Any] = {**WORK, "prefix": PREFIX, "place": "grid"}


def layout(engine: Engine) -> dict[str, Any]:
    """The components of the tab, by name."""
    settings = engine.settings
    parts: dict[str, Any] = {"class_grid": gr.State(())}
    parts["class_none"] = gr.HTML(elem_classes="class-none", apply_default_css=False)
    with gr.Column(elem_classes="class-desk"):
        with gr.Row(elem_classes="desk", equal_height=False):
            with gr.Column(elem_classes="rail", min_width=230):
                parts |= _rail(settings)
            with gr.Column(elem_classes="middle", min_width=320):
                parts["class_grid_view"] = picture_box("grid-box")
            with gr.Column(elem_classes="easel", min_width=320):
                parts |= {f"{PREFIX}{name}": part for name, part in _easel(engine).items()}
        with gr.Column(elem_classes="walk"):
            parts |= {f"{PREFIX}{name}": part for name, part in _walk(settings).items()}
    return parts


def _rail(settings: Settings) -> dict[str, Any]:
    parts = seed_row(FIRST_SEED)
    parts["count"] = gr.Slider(
        1,
        min(12, settings.max_count),
        6,
        step=1,
        label="Seeds in the grid",
        buttons=[],
        elem_classes="rest-class_repaint",
    )
    parts["truncation"] = truncation_slider("class_repaint")
    parts["adaptation"] = adaptation_slider("class_repaint")
    mixture = gr.HTML(
        {"weights": {}},
        html_template=MIXER,
        js_on_load=script("mixer.js"),
        elem_classes="mixer-box rest-class_enlarge",
        apply_default_css=False,
    )
    parts |= run_row("Paint")
    parts["status"] = gr.HTML(status(), elem_classes="status-box")
    return {"mixture": mixture, **{f"{PREFIX}{name}": part for name, part in parts.items()}}


def _easel(engine: Engine) -> dict[str, Any]:
    parts: dict[str, Any] = {"stage": gr.HTML(elem_classes="stage-box", apply_default_css=False)}
    with gr.Row(elem_classes="actions"):
        parts["explore_button"] = gr.Button("Explore this mixture", size="sm", min_width=140)
        parts["download_button"] = gr.Button("Download PNG", size="sm", min_width=110, elem_classes="download")
        parts["side"] = size_choice(engine)
        parts["sheet_button"] = gr.Button("Whole grid", size="sm", min_width=90)
        parts |= to_style_buttons()
        parts["keep_recipe"] = gr.Checkbox(
            engine.settings.keep_recipe, label="with recipe", container=False, min_width=90, elem_classes="keep-recipe"
        )
    return parts


def _walk(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="walk-row", equal_height=False):
        with gr.Column(min_width=320, scale=3):
            gr.HTML("<h2>Walk from class to class</h2>", apply_default_css=False)
            parts["route"] = gr.CheckboxGroup([], value=[], label="Through", elem_classes="route")
            parts |= film.settings_row(settings)
            with gr.Row(elem_classes="film-row"):
                parts["walk_button"] = gr.Button(
                    "Render the walk", variant="primary", size="sm", min_width=130, scale=0
                )
                parts["film_status"] = gr.HTML(status(), elem_classes="status-box", min_width=160)
        parts |= film.screen()
    return parts


def wire(parts: Parts, jobs: ClassesJobs, films: FilmJobs) -> list[Any]:
    """Connect the tab's events. → the jobs that Stop and Esc end."""
    tab: dict[str, Any] = {"prefix": PREFIX}
    stage: dict[str, Any] = {"place": f"{PREFIX}stage"}
    settled = connect(parts["hand"].class_repaint, jobs.repaint, parts, HANG, **GRID)
    grids = [
        settled,
        connect(parts["class_paint_button"].click, jobs.paint, parts, HANG, **GRID),
        connect(parts["class_dice_button"].click, jobs.dice, parts, HANG, **GRID),
        connect(parts["class_seed"].submit, jobs.repaint, parts, HANG, **GRID),
    ]
    long = [
        *grids,
        connect(parts["class_walk_button"].click, films.through_classes, parts, film.SHOW, **tab, **FILM),
    ]
    for trigger in (parts["mixture"].blend, parts["class_truncation"].input, parts["class_adaptation"].input):
        connect(trigger, jobs.live, parts, "stage status", **tab, **LIVE, **stage)
    connect(parts["hand"].class_enlarge, jobs.large, parts, "stage", **tab, **stage)
    picked = "seed lock mixture stage"
    shown = connect(parts["class_grid_view"].pick, jobs.pick, parts, picked, trigger_mode="multiple", **tab, **stage)
    for dependency in (*grids, shown):
        afterwards(dependency, jobs.large, parts, PREFIX)
    connect(parts["class_download_button"].click, jobs.download, parts, "outbox status", **tab)
    connect(parts["class_sheet_button"].click, jobs.download_grid, parts, "outbox status", **tab)
    return long
