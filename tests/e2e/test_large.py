"""The picture on the stage, enlarged when nothing moves, in a real browser."""

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hands import write_works
from PIL import Image
from playwright.sync_api import Page, expect
from served import Served, serving, shelf
from upscaled import write_upscaler

from studio.core.images import open_image, read_recipe


@pytest.fixture(scope="module")
def large_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("large")
    write_upscaler(shelf(folder / "checkpoints") / "upscaler.safetensors")
    with serving(folder) as app:
        yield app


@pytest.fixture
def large(open_page: Callable[[Served], AbstractContextManager[Page]], large_served: Served) -> Iterator[Page]:
    with open_page(large_served) as page:
        yield page


def _side(page: Page, side: int) -> None:
    """Wait until the picture on the stage has so many pixels."""
    stage = "[...document.querySelectorAll('.stage img')].find(one => one.offsetParent)"
    page.wait_for_function(f"side => {stage}?.naturalWidth === side", arg=side)


def _pixels(page: Page) -> Image.Image:
    source = page.locator(".stage img:visible").get_attribute("src")
    assert source is not None
    return Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))


def test_the_stage_is_enlarged_when_nothing_moves(large: Page) -> None:
    _side(large, 512)
    first = _pixels(large)
    large.locator(".wall .picture").nth(4).click()
    expect(large.locator(".stage b")).to_have_text("13")
    _side(large, 512)
    assert _pixels(large).tobytes() != first.tobytes()
    large.get_by_label("range slider for Truncation", exact=True).locator("visible=true").fill("0.3")
    _side(large, 32)
    _side(large, 512)


def test_a_download_is_as_large_as_is_chosen_and_comes_back(large: Page, tmp_path: Path) -> None:
    _side(large, 512)
    sides = {}
    for choice, side in (("", 512), ("256 px", 256), ("As painted", 32)):
        if choice:
            large.get_by_label("Size of the PNG").locator("visible=true").click()
            large.get_by_role("option", name=choice).click()
        with large.expect_download() as download:
            large.get_by_role("button", name="Download PNG", exact=True).locator("visible=true").click()
        file = tmp_path / f"{side}.png"
        download.value.save_as(file)
        assert open_image(file).size == (side, side)
        recipe = read_recipe(file)
        assert recipe is not None
        sides[side] = recipe["request"].get("size")
    assert sides == {512: 512, 256: 256, 32: None}
    large.set_input_files("input[data-testid='Drop or open a PNG-upload-button']", tmp_path / "256.png")
    expect(large.get_by_text("Restored")).to_be_visible()
    expect(large.get_by_label("Size of the PNG").locator("visible=true")).to_have_value("256 px")
    assert large.locator(".wall img").first.evaluate("one => one.naturalWidth") == 32


def test_a_mixture_is_enlarged_too(large: Page) -> None:
    large.get_by_role("tab", name="Classes").click()
    _side(large, 512)
    large.get_by_label("Share of portrait").fill("1")
    _side(large, 32)
    _side(large, 512)


def test_an_adapted_picture_is_enlarged_too_and_stays_what_was_clicked(large: Page, tmp_path: Path) -> None:
    write_works(tmp_path)
    large.get_by_role("tab", name="Adapt").click()
    large.set_input_files("input[data-testid='Add your pictures-upload-button']", sorted(tmp_path.iterdir()))
    expect(large.locator(".offered .card")).to_have_count(5)
    large.get_by_label("Base and method").check(force=True)
    large.locator(".methods label", has_text="embed: ").locator("input").check(force=True)
    large.get_by_role("button", name="Adapt", exact=True).locator("visible=true").click()
    after, before = (
        f"document.querySelector('.square-box .{name}').naturalWidth === 512" for name in ("after", "before")
    )
    large.wait_for_function(f"{after} && {before}", timeout=120_000)
    first = large.locator(".square-box .after").get_attribute("src")
    large.locator(".pairs .picture").nth(3).click()
    expect(large.locator(".square-box b")).to_have_text("Picture 4")
    large.wait_for_function(after)
    assert large.locator(".square-box .after").get_attribute("src") != first
    expect(large.locator(".square-box b")).to_have_text("Picture 4")
