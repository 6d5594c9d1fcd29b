"""Pictures as HTML."""

import base64
import io

import pytest
from PIL import Image

from studio.engine import Mix, Picture, Seeded, Variation
from studio.ui import pictures
from studio.ui.pictures import Card

SEVEN = Seeded(seed=7, classes={"landscape": 3.0, "seascape": 1.0})
NEAR = Variation(of=SEVEN, radius=0.25, seed=3)
MIXED = Mix(mix=(SEVEN, Seeded(seed=12)), groups=("coarse", "fine"))
WICKED = Seeded(seed=1, classes={'"><script>alert(1)</script>': 1.0})


@pytest.mark.parametrize(
    ("picture", "caption", "description"),
    [
        (Seeded(seed=7), "7", "seed 7"),
        (SEVEN, "7", "seed 7, landscape 75%, seascape 25%"),
        (NEAR, "7~3", "variation 3 of seed 7, landscape 75%, seascape 25%, radius 0.25"),
        (MIXED, "7×12", "seed 7, landscape 75%, seascape 25% with the coarse and fine style of seed 12"),
    ],
)
def test_a_picture_says_where_it_comes_from(picture: Picture, caption: str, description: str) -> None:
    assert pictures.caption(picture) == caption
    assert pictures.description(picture) == description


def test_a_long_lineage_has_a_short_caption() -> None:
    picture: Picture = Seeded(seed=2**62)
    for seed in range(5):
        picture = Variation(of=picture, radius=0.1, seed=seed)
    assert len(pictures.caption(picture)) == pictures.MAX_CAPTION


def test_keys_tell_pictures_apart() -> None:
    assert pictures.key(SEVEN) == pictures.key(Seeded(seed=7, classes={"landscape": 3.0, "seascape": 1.0}))
    assert len({pictures.key(one) for one in (SEVEN, Seeded(seed=7), NEAR, MIXED)}) == 4


def test_a_preview_is_the_image() -> None:
    image = Image.new("RGB", (8, 8), (200, 40, 90))
    kind, data = pictures.data_uri(image).split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as preview:
        pixel = preview.convert("RGB").getpixel((4, 4))
    assert isinstance(pixel, tuple)
    assert max(abs(got - was) for got, was in zip(pixel, (200, 40, 90), strict=True)) <= 3


@pytest.mark.parametrize(
    "html",
    [
        pictures.stage(Card(WICKED, "data:,")),
        pictures.wall([Card(WICKED, "data:,")], 1),
        pictures.row([Card(WICKED, "data:,")], "strip"),
        pictures.second(Card(WICKED, "data:,")),
        pictures.class_grid(['<img src=x onerror="alert(1)">'], [1], [Card(WICKED, "data:,")]),
    ],
)
def test_names_from_a_file_never_become_markup(html: str) -> None:
    assert "<script" not in html
    assert "<img src=x" not in html
    assert 'alert(1)"' not in html


def test_the_wall_and_the_recent_follow_the_picture_that_the_stage_names() -> None:
    cards = [Card(SEVEN, "data:,a"), Card(NEAR, "data:,b")]
    wall = pictures.wall(cards, 4)
    assert wall.count('class="free"') == 2
    assert "--columns:2" in wall
    for html in (wall, pictures.row(cards, "recent")):
        assert pictures.FOLLOWS in html
        assert html.count('aria-pressed="false"') == 2
        assert f'data-key="{pictures.key(NEAR)}"' in html
    assert f'data-key="{pictures.key(NEAR)}"' in pictures.stage(cards[1])
    assert pictures.FOLLOWS not in pictures.row(cards, "strip")


def test_a_half_painted_grid_keeps_its_places_free() -> None:
    html = pictures.class_grid(("landscape", "portrait"), range(3, 6), [Card(SEVEN, "data:,")] * 4)
    assert html.count("<img ") == 4
    assert html.count('class="free"') == 2
    assert '<th scope="row">portrait</th>' in html
    assert '<th scope="col">5</th>' in html
