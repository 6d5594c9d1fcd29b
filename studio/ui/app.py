"""The page put together, and how it is served."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gradio as gr

from studio.core.errors import InvalidRequest
from studio.engine import Engine
from studio.settings import Settings
from studio.ui import adapt, classes, endpoints, explore, lab, style
from studio.ui.adapt_jobs import AdaptJobs
from studio.ui.adapt_opening import ADAPT, AdaptOpening
from studio.ui.assets import favicon, script, style_sheet
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.film import FilmJobs
from studio.ui.handlers import Parts, Turns, connect
from studio.ui.large import afterwards
from studio.ui.opening import CLASSES, EXPLORE, OpeningJobs
from studio.ui.style_desk import at_desk
from studio.ui.style_jobs import StyleJobs
from studio.ui.style_opening import STYLE, StyleOpening
from studio.ui.theme import theme

DAY = 24 * 3600  # seconds
SESSIONS = {"local": 64, "public": 256}  # whose tables are kept
MAX_QUEUE = {"local": 256, "public": 128}
MAX_FILE = {"local": 2 << 30, "public": 16 << 20}  # bytes; a zip of pictures to learn from is large
NIGHT_BUTTON = '<button type="button" data-theme aria-label="Day or night" title="Day or night">◐</button>'


def build(engine: Engine, settings: Settings) -> gr.Blocks:
    """The page over an engine."""
    with gr.Blocks(title="Atelier", analytics_enabled=False, fill_width=True, delete_cache=(3600, DAY)) as page:
        parts = _head()
        with (
            gr.Column(elem_classes="studio"),
            gr.Tabs(selected=EXPLORE, elem_classes="rooms") as parts["tabs"],
        ):
            with gr.Tab("Explore", id=EXPLORE) as parts["explore_tab"]:
                parts |= explore.layout(engine)
            with gr.Tab("Classes", id=CLASSES, render_children=True) as parts["class_tab"]:
                parts |= classes.layout(engine)
            with gr.Tab("Style", id=STYLE, render_children=True) as parts["style_tab"]:
                parts |= style.layout(engine, settings)
            with gr.Tab("Adapt", id=ADAPT, render_children=True) as parts["adapt_tab"]:
                parts |= adapt.layout(engine, settings)
            with gr.Tab("Lab", id=lab.LAB, render_children=True) as parts["lab_tab"]:
                parts |= lab.layout(settings)
        _wire(page, parts, engine)
        endpoints.publish(engine)
    page.queue(max_size=MAX_QUEUE[settings.profile], api_open=True)
    return page


def _head() -> dict[str, Any]:
    parts: dict[str, Any] = {
        "previous": gr.State(None),
        "tables": gr.State({}),
        "room": gr.State(EXPLORE),
        "held": gr.State(()),
        "turns": gr.State(Turns()),
    }
    with gr.Row(elem_classes="masthead", equal_height=True):
        gr.HTML("<h1>Atelier</h1>", elem_classes="name", apply_default_css=False, min_width=110)
        parts["model"] = gr.Dropdown(
            [], label="Model", container=False, filterable=False, min_width=150, elem_classes="model"
        )
        parts["look"] = gr.Button("↻", size="sm", min_width=36, scale=0, elem_classes="look")
        parts["about"] = gr.HTML(elem_classes="about-box", apply_default_css=False)
        parts["dropped"] = gr.UploadButton(
            "Drop or open a PNG", file_types=[".png"], type="filepath", size="sm", min_width=140, elem_classes="drop"
        )
        parts["hand"] = gr.HTML(
            NIGHT_BUTTON, js_on_load=script("hand.js"), elem_classes="hand", apply_default_css=False, min_width=36
        )
    parts["broken"] = gr.HTML(elem_classes="broken-box", apply_default_css=False)
    parts["empty"] = gr.HTML(elem_classes="empty-box", apply_default_css=False)
    parts["outbox"] = gr.HTML(
        None, html_template="", js_on_load=script("outbox.js"), elem_classes="outbox", apply_default_css=False
    )
    return parts


ABOUT = (
    "previous about kind mixture partner partner_view class_grid class_grid_view class_none class_route "
    "adaptation class_adaptation"
)
PAINTED_STRIP = f"{explore.PAINTED} strip strip_view"
EXPLORED = "tabs kind seed lock truncation adaptation"
RESTORED = (
    f"model {ABOUT} tables tabs lock count truncation side {PAINTED_STRIP} "
    "class_lock class_count class_truncation class_seed class_stage class_status "
    f"{style.RESTORED}"
)


def _wire(page: gr.Blocks, parts: Parts, engine: Engine) -> None:
    seeing, mixing, films = ExploreJobs(engine), ClassesJobs(engine), FilmJobs(engine)
    stylising = StyleJobs(engine)
    arriving = StyleOpening(stylising, seeing, mixing)
    opening = OpeningJobs(engine, seeing, mixing, arriving)
    long = explore.wire(parts, seeing, films) + classes.wire(parts, mixing, films) + style.wire(parts, stylising)
    style.wire_arrivals(parts, arriving)
    adapting = AdaptJobs(engine)
    long += adapt.wire(parts, adapting)
    leaving, mixed = adapt.wire_departures(parts, AdaptOpening(adapting, opening), ABOUT)
    long += lab.wire(parts, engine, opening, ABOUT)
    for trigger in (page.load, parts["look"].click):
        looked = connect(trigger, opening.look, parts, f"model broken empty {ABOUT}")
        first = connect(looked.success, seeing.first, parts, explore.PAINTED, **explore.WALL)
        afterwards(first, seeing.large, parts)
        long.append(first)
    chosen = connect(parts["model"].input, opening.choose, parts, f"{ABOUT} tables {PAINTED_STRIP}", **explore.WALL)
    mixture = connect(parts["class_explore_button"].click, opening.explore_mixture, parts, EXPLORED)
    restored = connect(parts["dropped"].upload, at_desk(opening.restore, "style_"), parts, RESTORED, **explore.WALL)
    walls = [
        chosen,
        connect(mixture.success, seeing.repaint, parts, explore.PAINTED, **explore.WALL),
        restored,
    ]
    grids = [
        connect(mixed.success, mixing.enter, parts, classes.HANG, **classes.GRID),
        connect(chosen.success, mixing.follow, parts, classes.HANG, **classes.GRID),
        connect(parts["class_tab"].select, mixing.enter, parts, classes.HANG, **classes.GRID),
    ]
    for dependency in walls:
        afterwards(dependency, seeing.large, parts)
    for dependency in (*grids, restored):
        afterwards(dependency, mixing.large, parts, classes.PREFIX)
    long += [*leaving, *walls, *grids]
    rooms = {"explore_tab": EXPLORE, "class_tab": CLASSES, "style_tab": STYLE, "adapt_tab": ADAPT, "lab_tab": lab.LAB}
    for tab, room in rooms.items():
        connect(parts[tab].select, opening.entering(room), parts, "room")
    for stop in (parts["stop"], parts["class_stop"], parts["style_stop"], parts["adapt_stop"], parts["find_stop"]):
        stop.click(None, cancels=long, api_visibility="private")


def launch_options(settings: Settings) -> dict[str, Any]:
    """What every start of the page has in common: the look, and what keeps it safe."""
    return {
        "theme": theme(),
        "css_paths": [style_sheet(), style_sheet("lab.css")],
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "show_error": False,
        "enable_monitoring": False,
        "strict_cors": True,
        "allowed_paths": [],
        "max_file_size": MAX_FILE[settings.profile],
        "state_session_capacity": SESSIONS[settings.profile],
        "favicon_path": favicon(),
    }


def serve(
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    profile: str | None = None,
    auth: tuple[str, str] | str | None = None,
    opened: Callable[[str, str | None], None] | None = None,
) -> None:
    """Open the page and wait for Ctrl+C. Host and port by default come from gradio's own GRADIO_SERVER_NAME and _PORT.

    profile: overrides STUDIO_PROFILE. auth: (user, password), or "user:password". opened: told the page's address and
    its public link, if there is one, in place of gradio's printed lines. Raises a StudioError for bad values.
    """
    settings = Settings.from_environment()
    if profile is not None:
        settings = Settings.from_environment({**os.environ, "STUDIO_PROFILE": profile})
    login = credentials(auth) if isinstance(auth, str) else auth
    page = build(Engine(settings, alone=True), settings)
    try:
        _, url, public = page.launch(
            server_name=host,
            server_port=port,
            share=share,
            auth=login,
            quiet=opened is not None,
            prevent_thread_lock=True,
            **launch_options(settings),
        )
    except OSError as error:
        raise InvalidRequest(f"The page cannot be served there: {error}") from error
    if opened is not None:
        opened(url, public)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    page.close(verbose=False)


def credentials(text: str) -> tuple[str, str]:
    """User and password in "user:password"; the password may hold colons."""
    user, colon, password = text.partition(":")
    if not user or not colon or not password:
        raise InvalidRequest("The login must be written as user:password, and neither may be empty.")
    return user, password
