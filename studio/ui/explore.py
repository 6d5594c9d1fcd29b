"""The Explore tab: a wall of seeds, the current picture, its neighbours and mixes, and a walk through favourites."""

from typing import Any

import gradio as gr

from studio.engine import Engine
from studio.settings import Settings
from studio.ui import film, pictures, shelf, strip
from studio.ui.assets import script
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.film import FilmJobs
from studio.ui.handlers import FILM, LIVE, WORK, Parts, connect, status
from studio.ui.large import afterwards, size_choice

SHOW = "current stage recent recent_view radius groups"
HANG = "wall wall_view status"
FIRST_SEED = "9"  # of the wall that the page opens with: the shipped model's flowers
PAINTED = f"seed {HANG} {SHOW}"
EACH: dict[str, Any] = {"trigger_mode": "multiple"}
STAGED: dict[str, Any] = {**EACH, "place": "stage choice"}
WALL: dict[str, Any] = {**WORK, "place": "wall"}
REPAINTED: dict[str, Any] = {**WALL, "spared": ("choice", SHOW)}  # a click while it paints keeps the stage


def layout(engine: Engine) -> dict[str, Any]:
    """The components of the tab, by name."""
    settings = engine.settings
    parts: dict[str, Any] = {
        "wall": gr.State(()),
        "current": gr.State(None),
        "recent": gr.State(()),
        "strip": gr.State(()),
        "partner": gr.State(None),
    }
    with gr.Row(elem_classes="desk", equal_height=False):
        with gr.Column(elem_classes="rail", min_width=230):
            parts |= _rail(settings)
        with gr.Column(elem_classes="middle", min_width=320):
            parts["wall_view"] = picture_box("wall-box")
        with gr.Column(elem_classes="easel", min_width=320):
            parts |= _easel(engine)
    with gr.Column(elem_classes="walk"):
        parts |= _walk(settings)
    return parts


def picture_box(name: str, value: str = "") -> Any:
    """A place for pictures that can be clicked."""
    return gr.HTML(value, elem_classes=name, js_on_load=script("pictures.js"), apply_default_css=False)


def seed_row(value: str) -> dict[str, Any]:
    """A seed with its dice and lock."""
    with gr.Row(elem_classes="seed-row", equal_height=True):
        return {
            "seed": gr.Textbox(value, label="Seed", max_length=19, min_width=90, scale=3),
            "dice_button": gr.Button("⚄", size="sm", min_width=40, scale=0, elem_classes="dice"),
            "lock": gr.Checkbox(False, label="Lock", min_width=60, scale=0, container=False, elem_classes="lock"),
        }


def run_row(label: str) -> dict[str, Any]:
    """The buttons that start and stop."""
    with gr.Row(elem_classes="run-row"):
        return {
            "paint_button": gr.Button(label, variant="primary", min_width=100, scale=3, elem_classes="run"),
            "stop": gr.Button("Stop", min_width=60, scale=1, elem_classes="stop"),
        }


def truncation_slider(rest: str) -> Any:
    """Truncation, which answers while it moves. rest: what follows when it rests."""
    return gr.Slider(
        0,
        1.5,
        0.8,
        step=0.01,
        label="Truncation",
        info="Lower is calmer, higher is wilder.",
        buttons=[],
        elem_classes=f"rest-{rest}",
    )


def adaptation_slider(rest: str) -> Any:
    """An adapter's strength, shown where the model is one. rest: what follows when it rests."""
    return gr.Slider(
        0,
        2,
        1.0,
        step=0.05,
        label="Adaptation",
        info="0 is the base, 1 as learned.",
        buttons=[],
        elem_classes=f"rest-{rest} adaptation",
    )


def to_style_buttons() -> dict[str, Any]:
    """The buttons that send the current picture to the Style tab."""
    return {
        "to_photo_button": gr.Button("Stylize it", size="sm", min_width=80),
        "to_style_button": gr.Button("As a style", size="sm", min_width=80),
    }


def _rail(settings: Settings) -> dict[str, Any]:
    parts = seed_row(FIRST_SEED)
    parts["count"] = gr.Slider(
        1,
        settings.max_count,
        min(16, settings.max_count),
        step=1,
        label="Pictures",
        buttons=[],
        elem_classes="rest-repaint",
    )
    parts["truncation"] = truncation_slider("settle")
    parts["adaptation"] = adaptation_slider("settle")
    parts["kind"] = gr.Dropdown([("Any, by seed", shelf.ANY)], value=shelf.ANY, label="Class", filterable=False)
    parts |= run_row("Paint")
    parts["status"] = gr.HTML(status(), elem_classes="status-box")
    return parts


def _easel(engine: Engine) -> dict[str, Any]:
    parts: dict[str, Any] = {"stage": gr.HTML(elem_classes="stage-box", apply_default_css=False)}
    with gr.Row(elem_classes="actions"):
        parts["gather_button"] = gr.Button("+ Walk", size="sm", min_width=70)
        parts["download_button"] = gr.Button("Download PNG", size="sm", min_width=110, elem_classes="download")
        parts["side"] = size_choice(engine)
        parts["sheet_button"] = gr.Button("Whole wall", size="sm", min_width=90)
        parts |= to_style_buttons()
        parts["to_critic_button"] = gr.Button("What is it?", size="sm", min_width=80)
        parts["keep_recipe"] = gr.Checkbox(
            engine.settings.keep_recipe, label="with recipe", container=False, min_width=90, elem_classes="keep-recipe"
        )
    with gr.Row(elem_classes="tool"):
        parts["radius"] = gr.Slider(
            0,
            1,
            0.3,
            step=0.01,
            label="Variations, radius",
            buttons=[],
            min_width=120,
            elem_classes="rest-settle radius",
        )
        parts["vary_button"] = gr.Button("Vary", size="sm", min_width=70, scale=0)
    with gr.Row(elem_classes="tool mix"):
        parts["partner_view"] = picture_box("second-box", pictures.second(None))
        parts["groups"] = gr.CheckboxGroup(
            [("Coarse", "coarse"), ("Middle", "middle"), ("Fine", "fine")],
            value=["fine"],
            label="Styles of the second picture",
            min_width=150,
        )
        parts["mix_button"] = gr.Button("Mix", size="sm", min_width=60, scale=0)
    gr.HTML("This model has one layer of style, so styles cannot be mixed.", elem_classes="no-mix quiet")
    parts["recent_view"] = picture_box("recent-box")
    return parts


def _walk(settings: Settings) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="walk-row", equal_height=False):
        with gr.Column(min_width=320, scale=3):
            gr.HTML("<h2>Walk</h2>", apply_default_css=False)
            parts["strip_view"] = picture_box("strip-box", pictures.row((), "strip"))
            parts |= film.settings_row(settings)
            with gr.Row(elem_classes="film-row"):
                parts["walk_button"] = gr.Button(
                    "Render the walk", variant="primary", size="sm", min_width=130, scale=0
                )
                parts["clear_button"] = gr.Button("Clear", size="sm", min_width=60, scale=0)
                parts["film_status"] = gr.HTML(status(), elem_classes="status-box", min_width=160)
        parts |= film.screen()
    return parts


def wire(parts: Parts, jobs: ExploreJobs, films: FilmJobs) -> list[Any]:
    """Connect the tab's events. → the jobs that Stop and Esc end."""
    settled = connect(parts["hand"].settle, jobs.settle, parts, f"{HANG} {SHOW} strip strip_view", **REPAINTED)
    repaints = (parts["hand"].repaint, parts["seed"].submit, parts["kind"].input)
    walls = [
        settled,
        connect(parts["paint_button"].click, jobs.paint, parts, PAINTED, **REPAINTED),
        connect(parts["dice_button"].click, jobs.dice, parts, PAINTED, **REPAINTED),
        *(connect(trigger, jobs.repaint, parts, PAINTED, **REPAINTED) for trigger in repaints),
    ]
    long = [
        *walls,
        connect(parts["vary_button"].click, jobs.vary, parts, HANG, **WALL),
        connect(parts["walk_button"].click, films.through_pictures, parts, film.SHOW, **FILM),
    ]
    for name in ("truncation", "adaptation", "radius", "groups"):
        connect(parts[name].input, jobs.live, parts, "stage", place="stage", **LIVE)
    for dependency in (*walls, *_clicks(parts, jobs)):
        afterwards(dependency, jobs.large, parts)
    return long


def _clicks(parts: Parts, jobs: ExploreJobs) -> list[Any]:
    """→ those that put a picture on the stage."""
    views = ("wall_view", "recent_view", "strip_view")
    shown = [connect(parts[view].pick, jobs.pick, parts, SHOW, **STAGED) for view in views]
    shown.append(connect(parts["mix_button"].click, jobs.mix, parts, f"status {SHOW}", **STAGED))
    connect(parts["wall_view"].gather, jobs.gather, parts, "strip strip_view", **EACH)
    connect(parts["gather_button"].click, jobs.gather_current, parts, "strip strip_view", **EACH)
    connect(parts["wall_view"].second, jobs.choose_second, parts, "partner partner_view", **EACH)
    connect(parts["partner_view"].hold, jobs.hold, parts, "partner partner_view", **EACH)
    connect(parts["download_button"].click, jobs.download, parts, "outbox status")
    connect(parts["sheet_button"].click, jobs.download_wall, parts, "outbox status")
    for name, places in (("earlier", -1), ("later", 1), ("discard", 0)):
        connect(getattr(parts["strip_view"], name), strip.moving(places), parts, "strip strip_view", **EACH)
    connect(parts["clear_button"].click, strip.clear, parts, "strip strip_view")
    return shown
