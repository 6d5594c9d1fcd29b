"""The Style tab's HTML and the values of its scripts."""

import re

import numpy as np
import pytest
from PIL import Image
from studio_styles import photo

from studio.core.errors import InvalidRequest
from studio.engine import Pictures
from studio.ui import style_jobs, style_views
from studio.ui.style_desk import STAGE, Desk, at_desk, master_key, picture_key

WICKED = '"><script>alert(1)</script>'


def desk(**values: object) -> Desk:
    default: dict[str, object] = dict.fromkeys(Desk.__dataclass_fields__)
    default |= {"pictures": Pictures(), "size": 64, "style_weight": 1, "content_weight": 0.5, "style_scale": 1}
    default |= {"preserve_color": "none", "steps": 3, "similarity": ["gram"], "optimizer": "lbfgs", "learning_rate": 0}
    default |= {"tv": 0, "start": "instant", "seed": "0"}
    return Desk(**{**default, **values})  # type: ignore[arg-type]


def test_a_masterwork_s_name_is_written_for_people() -> None:
    assert style_views.title("hokusai-great-wave") == "Hokusai great wave"
    assert style_views.title("vangogh-night-cafe") == "Van Gogh night cafe"


def test_names_from_a_file_never_become_markup() -> None:
    html = style_views.wall({}, {picture_key("a"): photo()}, {picture_key("a"): WICKED})
    html += style_views.photo(photo(), WICKED)
    assert "<script" not in html


def test_every_picture_on_the_wall_says_its_name() -> None:
    html = style_views.wall({master_key("b"): photo()}, {picture_key("a"): photo()}, {"m:b": "Works", "p:a": "Mine"})
    assert re.findall(r'alt="([^"]*)"', html) == ["Style Mine", "Style Works"]
    assert re.findall(r'data-key="([^"]*)"', html) == ["p:a", "m:b"]


def test_curves_are_drawn_on_their_own_scale() -> None:
    html = style_views.curves({"total": (4.0, 2.0, 1.0), "style": (2.0, 1.0, 0.5), "other": (1.0, 1.0)})
    assert html.count("<polyline") == 2
    assert re.findall(r'points="0\.0,(\S+) ', html) == ["2.0", "2.0"]
    assert "total from 4 to 1, style from 2 to 0.5" in html
    assert style_views.curves({"total": (1.0,)}) == ""


def test_what_is_transparent_is_shown_on_white() -> None:
    shown = style_views.reduced(Image.new("RGBA", (10, 10), (0, 0, 0, 0)), 5)
    assert shown.size == (5, 5)
    assert shown.getpixel((2, 2)) == (255, 255, 255)


def test_a_desk_means_a_request() -> None:
    palette = {"styles": [{"key": "m:monet", "weight": 1}, {"key": "p:" + "a" * 64, "weight": 0.5}]}
    request = desk(content="b" * 64, palette=palette).request()
    assert [style.model_dump() for style in request.styles] == [
        {"masterwork": "monet", "weight": 1.0},
        {"picture": "a" * 64, "weight": 0.5},
    ]
    assert request.learning_rate is None
    assert desk(content="b" * 64, palette=palette, start=STAGE).request().start == "instant"


@pytest.mark.parametrize(
    ("values", "part"), [({}, "no photo yet"), ({"content": "b" * 64, "palette": 7}, "no style yet")]
)
def test_an_empty_desk_says_what_it_lacks(values: dict[str, object], part: str) -> None:
    with pytest.raises(InvalidRequest, match=part):
        desk(**values).request()


def test_a_handler_at_the_desk_names_its_parts() -> None:
    def handler(desk: Desk, event: dict[str, object], more: int):  # type: ignore[no-untyped-def]
        yield {"size": desk.size, "more": more}

    wired = at_desk(handler, "style_")
    given = {f"style_{name}": getattr(desk(size=7), name) for name in Desk.__dataclass_fields__}
    assert list(wired(**given, event={}, more=2)) == [{"size": 7, "more": 2}]


@pytest.mark.parametrize("data", [None, 7, "data:text/html,x", style_jobs.DATA + "%%%"])
def test_a_mask_that_is_none_is_a_sentence(data: object) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        style_jobs.painted(data)


def test_a_mask_comes_back_from_its_address() -> None:
    mask = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    from studio.core.images import open_image

    again = open_image(style_jobs.painted(style_jobs.address(mask.convert("RGB"))))
    assert np.array_equal(np.array(again.convert("L")), np.array(mask))


def test_steps_go_on_to_what_was_asked_and_then_as_far_again() -> None:
    assert style_jobs.more(20, 50) == 50
    assert style_jobs.more(50, 50) == 100
