"""The Classes tab in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.core.images import open_image, read_recipe


@pytest.fixture
def classes(page: Page) -> Page:
    """The tab with its grid painted."""
    page.get_by_role("tab", name="Classes").click()
    expect(page.locator(".classes .picture img")).to_have_count(18)
    return page


def _stage(page: Page) -> str:
    source = page.locator(".stage img:visible").get_attribute("src")
    assert source is not None
    return source


def _changed(page: Page, before: str) -> None:
    expect(page.locator(".stage img:visible")).not_to_have_attribute("src", before)


def _share(page: Page, name: str, value: float) -> None:
    page.get_by_label(f"Share of {name}").fill(str(value))


def test_the_grid_has_a_row_for_each_class_and_a_column_for_each_seed(classes: Page) -> None:
    expect(classes.locator(".classes th[scope=row]")).to_have_text(["landscape", "portrait", "seascape"])
    expect(classes.locator(".classes th[scope=col]")).to_have_text([str(seed) for seed in range(3, 9)])
    alt = classes.locator(".classes tbody tr").nth(1).locator("img").nth(2).get_attribute("alt")
    assert alt == "Picture of seed 5, portrait"


def test_a_class_slider_mixes_while_it_moves(classes: Page) -> None:
    pure = _stage(classes)
    _share(classes, "portrait", 0.5)
    _changed(classes, pure)
    expect(classes.locator(".stage figcaption span:visible")).to_have_text("landscape 67%, portrait 33%")
    expect(classes.locator(".mixer output")).to_have_text(["67 %", "33 %", "0 %"])
    _share(classes, "portrait", 0)
    expect(classes.locator(".stage img:visible")).to_have_attribute("src", pure)
    _share(classes, "landscape", 0)
    expect(classes.get_by_text("Raise at least one class")).to_be_visible()


def test_a_click_in_the_grid_sets_seed_and_class(classes: Page) -> None:
    cell = classes.locator(".classes tbody tr").nth(2).locator("img").nth(4)
    source = str(cell.get_attribute("src"))
    cell.click()
    expect(classes.locator(".stage img:visible")).to_have_attribute("src", source)
    expect(classes.get_by_label("Seed", exact=True).locator("visible=true")).to_have_value("7")
    expect(classes.get_by_label("Share of seascape")).to_have_value("1")
    expect(classes.get_by_label("Share of landscape")).to_have_value("0")
    marked = classes.locator(".classes .picture[aria-pressed='true'] img")
    expect(marked).to_have_attribute("src", source)
    _share(classes, "portrait", 0.5)
    expect(marked).to_have_count(0)  # a mixture is no cell of the grid


def test_a_mixture_can_be_explored(classes: Page) -> None:
    _share(classes, "seascape", 1)
    expect(classes.locator(".stage figcaption span:visible")).to_contain_text("seascape 50%")
    mixed = _stage(classes)
    classes.get_by_role("button", name="Explore this mixture").click()
    expect(classes.locator(".wall .below span").first).to_be_visible()
    expect(classes.get_by_label("Class", exact=True)).to_have_value("My mixture")
    expect(classes.locator(".stage img:visible")).to_have_attribute("src", mixed)


def test_a_walk_goes_from_class_to_class(classes: Page) -> None:
    classes.get_by_label("range slider for Frames", exact=True).locator("visible=true").fill("9")
    classes.get_by_role("button", name="Render the walk").locator("visible=true").click()
    expect(classes.locator("video:visible")).to_be_visible()


def test_a_saved_grid_comes_back(classes: Page, tmp_path: Path) -> None:
    seed = classes.get_by_label("Seed", exact=True).locator("visible=true")
    seed.fill("30")
    seed.press("Enter")
    expect(classes.locator(".classes th[scope=col]").first).to_have_text("30")
    with classes.expect_download() as download:
        classes.get_by_role("button", name="Whole grid").click()
    saved = tmp_path / "grid.png"
    download.value.save_as(saved)
    recipe = read_recipe(saved)
    assert recipe is not None
    assert recipe["verb"] == "classes"
    assert open_image(saved).width > 6 * 32
    classes.get_by_role("tab", name="Explore").click()
    classes.set_input_files("input[data-testid='Drop or open a PNG-upload-button']", saved)
    expect(classes.locator(".classes th[scope=col]:visible").first).to_have_text("30")


def test_a_model_without_classes_says_so(classes: Page) -> None:
    classes.get_by_label("Model", exact=True).click()
    classes.get_by_role("option", name="plain").click()
    expect(classes.get_by_text("plain has no classes")).to_be_visible()
    classes.get_by_label("Model", exact=True).click()
    classes.get_by_role("option", name="small").click()
    expect(classes.locator(".classes .picture img")).to_have_count(18)
