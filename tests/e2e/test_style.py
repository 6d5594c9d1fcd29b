"""The Style tab in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from studio_styles import painting, photo

from studio.core.images import open_image, read_recipe


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    photo(240, 180).save(folder / "harbour.png")
    painting(160).save(folder / "stripes.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder


@pytest.fixture
def style(page: Page) -> Page:
    """The tab with its wall hung."""
    return _entered(page)


@pytest.fixture
def desk(style: Page, files: Path) -> Page:
    """The tab with a photo and a style of the artist's own."""
    return _laid(style, files)


def _entered(page: Page) -> Page:
    page.get_by_role("tab", name="Style").click()
    expect(page.locator(".masters .picture")).to_have_count(3)
    return page


def _laid(page: Page, files: Path) -> Page:
    _upload(page, "Choose a photo", files / "harbour.png")
    expect(page.locator(".photo img")).to_be_visible()
    _upload(page, "Add style pictures", files / "stripes.png")
    _captioned(page, "Instant")
    return page


def _upload(page: Page, label: str, file: Path) -> None:
    page.set_input_files(f"input[data-testid='{label}-upload-button']", file)


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True).locator("visible=true")


def _captioned(page: Page, text: str) -> None:
    expect(page.locator(".compare b")).to_contain_text(text)


def _result(page: Page) -> str:
    source = page.locator(".compare .after").get_attribute("src")
    assert source is not None
    return source


def _changed(page: Page, before: str) -> str:
    expect(page.locator(".compare .after")).not_to_have_attribute("src", before)
    return _result(page)


def _move(page: Page, name: str, value: float) -> None:
    page.get_by_label(f"range slider for {name}", exact=True).locator("visible=true").fill(str(value))


def _refine(page: Page, steps: int, size: str = "256 px") -> None:
    page.get_by_label("Refinement settings").check(force=True)
    page.get_by_label("Size, long side").click()
    page.get_by_role("option", name=size).click()
    _move(page, "Steps", steps)
    page.keyboard.press("Control+Enter")


def test_an_empty_tab_says_what_to_do_and_shows_the_masterworks(style: Page) -> None:
    expect(style.get_by_text("Choose a photo and a style")).to_be_visible()
    expect(style.get_by_text("Drop a photo here, or choose one.")).to_be_visible()
    assert style.locator(".masters img").evaluate_all("all => all.map(one => one.alt)") == [
        "Style Hokusai great wave",
        "Style Monet sunrise",
        "Style Van gogh starry night",
    ]
    _button(style, "Refine").click()
    expect(style.get_by_text("There is no photo yet")).to_be_visible()


def test_the_picture_appears_and_follows_the_sliders(desk: Page) -> None:
    before = _result(desk)
    expect(desk.locator(".compare .after")).to_have_attribute("alt", "Instant. stripes")
    _move(desk, "Style weight", 0.4)
    weaker = _changed(desk, before)
    _move(desk, "Style weight", 0)
    plain = _changed(desk, weaker)
    _move(desk, "Style weight", 1)
    assert _changed(desk, plain) == before
    desk.get_by_label("The photo's, luminance").check()
    _changed(desk, before)


def test_up_to_four_styles_are_mixed_by_weight(desk: Page) -> None:
    alone = _result(desk)
    for index in (1, 2, 3):
        desk.locator(".masters .picture").nth(index).click()
        expect(desk.locator(".palette .row")).to_have_count(index + 1)
    mixed = _changed(desk, alone)
    expect(desk.locator(".palette output")).to_have_text(["25 %"] * 4)
    for name in ("Hokusai great wave", "Monet sunrise", "Van gogh starry night"):
        desk.get_by_label(f"Weight of {name}").fill("0")
    expect(desk.locator(".palette output")).to_have_text(["100 %", "0 %", "0 %", "0 %"])
    expect(desk.locator(".compare .after")).to_have_attribute("src", alone)
    assert mixed != alone
    desk.get_by_label("Take Monet sunrise out").click()
    expect(desk.locator(".palette .row")).to_have_count(3)


def test_the_photo_lies_behind_the_result(desk: Page) -> None:
    slider = desk.get_by_label("Uncover the photo")
    before = desk.locator(".compare .before")
    assert "100%" in before.evaluate("one => getComputedStyle(one).clipPath")
    slider.fill("100")
    assert before.evaluate("one => one.parentElement.style.getPropertyValue('--at')") == "100%"


def test_refining_shows_its_way_and_ends_with_curves(desk: Page) -> None:
    _refine(desk, 6)
    _captioned(desk, "Refined, 6 steps")
    expect(desk.locator(".curves svg")).to_have_attribute(
        "aria-label", re.compile("^Losses: total from .*, style from")
    )
    expect(desk.locator(".status:visible")).to_contain_text("6 steps; press Refine to go further")
    first = _result(desk)
    desk.keyboard.press("Control+Enter")
    _captioned(desk, "Refined, 12 steps")
    _changed(desk, first)


def test_a_style_practises_and_keeps_what_it_has_learnt(desk: Page) -> None:
    before = _result(desk)
    _button(desk, "Practise").click()
    expect(desk.locator(".status:visible")).to_contain_text("Practising")
    after = _changed(desk, before)
    desk.keyboard.press("Escape")
    expect(desk.locator(".palette .row")).to_contain_text("stripes, practised")
    _button(desk, "Practise").click()
    expect(desk.locator(".status:visible")).to_contain_text("Practising")
    _move(desk, "Content weight", 0.9)
    moved = _changed(desk, after)
    _captioned(desk, "Instant")
    expect(desk.locator(".status:visible")).to_contain_text("Instant")
    _button(desk, "Practise").click()
    expect(desk.locator(".status:visible")).to_contain_text("Practised", timeout=60_000)
    _changed(desk, moved)


def test_masterworks_have_practised_already(desk: Page) -> None:
    desk.locator(".palette .row button").click()
    expect(desk.locator(".palette .row")).to_have_count(0)
    desk.locator(".masters .picture").nth(2).click()
    expect(desk.locator(".palette .row")).to_have_count(1)
    _button(desk, "Practise").click()
    expect(desk.get_by_text("add a style picture of your own to practise")).to_be_visible()


def test_escape_keeps_the_picture_and_refine_goes_on(desk: Page, tmp_path: Path) -> None:
    _refine(desk, 500)
    expect(desk.locator(".curves svg")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.locator(".status:visible")).to_contain_text("Stopped after")
    desk.wait_for_timeout(1500)
    standing = _result(desk)
    desk.wait_for_timeout(700)
    assert _result(desk) == standing
    steps = int(desk.locator(".compare b").inner_text().removeprefix("Refined, ").removesuffix(" steps"))
    saved = _download(desk, tmp_path / "stopped.png")
    recipe = read_recipe(saved)
    assert recipe is not None
    assert recipe["steps"] == steps > 0
    assert open_image(saved).size == (256, 192)


def test_a_saved_picture_brings_settings_and_pictures_back(desk: Page, tmp_path: Path) -> None:
    desk.locator(".masters .picture").nth(2).click()
    expect(desk.locator(".palette .row")).to_have_count(2)
    _move(desk, "Content weight", 0.8)
    _refine(desk, 3)
    _captioned(desk, "Refined, 3 steps")
    saved = _download(desk, tmp_path / "made.png")
    desk.reload()
    expect(desk.locator(".wall .picture img")).to_have_count(16)
    desk.wait_for_timeout(1000)  # nobody drops a file into a page within milliseconds of its opening
    _upload(desk, "Drop or open a PNG", saved)
    expect(desk.locator(".photo img")).to_be_visible()
    _captioned(desk, "Restored")
    expect(desk.locator(".palette .row")).to_have_count(2)
    expect(desk.get_by_label("number input for Content weight")).to_have_value("0.8")
    desk.get_by_label("Refinement settings").check(force=True)
    expect(desk.get_by_label("Size, long side")).to_have_value("256 px")
    expect(desk.get_by_label("number input for Steps", exact=True).locator("visible=true")).to_have_value("3")
    restored = _result(desk)
    desk.keyboard.press("Control+Enter")
    _captioned(desk, "Refined, 3 steps")
    assert _result(desk) == restored  # the same request makes the same picture


def test_diversify_hangs_a_sheet_from_which_one_is_carried_on(desk: Page) -> None:
    _move(desk, "Style weight", 0.9)
    desk.get_by_label("Refinement settings").check(force=True)
    desk.get_by_label("Size, long side").click()
    desk.get_by_role("option", name="256 px").click()
    _move(desk, "Steps", 2)
    _button(desk, "Diversify").click()
    expect(desk.locator(".variants .picture")).to_have_count(8, timeout=120_000)
    expect(desk.locator(".variants .below span").nth(5)).to_have_text("sliced wasserstein")
    desk.locator(".variants .picture").nth(3).click()
    _captioned(desk, "Refined, 2 steps")
    picked = _result(desk)
    expect(desk.get_by_text("Press Refine to go on from this picture")).to_be_visible()
    desk.keyboard.press("Control+Enter")
    _changed(desk, picked)


def test_what_is_painted_over_stays_the_photo(desk: Page) -> None:
    before = _result(desk)
    desk.get_by_label("Where the style goes").check(force=True)
    canvas = desk.locator(".paint canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    desk.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2)
    desk.mouse.down()
    desk.mouse.move(box["x"] + box["width"] - 10, box["y"] + box["height"] / 2, steps=8)
    desk.mouse.up()
    masked = _changed(desk, before)
    _button(desk, "Clear").last.click()
    assert _changed(desk, masked) == before


def test_pictures_of_other_tabs_become_photo_and_style(page: Page) -> None:
    _button(page, "Stylize it").click()
    expect(page.locator(".photo img")).to_have_attribute("alt", "The photo small 9")
    expect(page.locator(".masters .picture")).to_have_count(3)
    page.get_by_role("tab", name="Classes").click()
    expect(page.locator(".classes .picture img")).to_have_count(18)
    _button(page, "As a style").click()
    expect(page.locator(".palette .row")).to_have_count(1)
    _captioned(page, "Instant")


def test_a_broken_file_is_a_sentence_and_nothing_is_lost(desk: Page, files: Path) -> None:
    before = _result(desk)
    _upload(desk, "Choose a photo", files / "broken.png")
    expect(desk.get_by_text("broken.png is truncated or damaged")).to_be_visible()
    assert _result(desk) == before


def test_a_plain_picture_dropped_on_the_tab_is_the_photo(style: Page, files: Path) -> None:
    _upload(style, "Drop or open a PNG", files / "harbour.png")
    expect(style.locator(".photo img")).to_have_attribute("alt", "The photo harbour")


def test_the_phone_has_the_result_on_top(phone: Page, files: Path) -> None:
    page = _laid(_entered(phone), files)
    box = page.locator(".compare .after").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    refine = _button(page, "Refine").bounding_box()
    assert refine is not None
    assert refine["y"] + refine["height"] <= 844


def test_every_control_of_the_tab_has_a_name(desk: Page) -> None:
    desk.get_by_label("Refinement settings").check(force=True)
    nameless = desk.evaluate(
        """() => [...document.querySelectorAll(".style-desk button, .style-desk input, .style-desk img")]
              .filter(one => one.offsetParent && one.type !== "file")
              .filter(one => !(one.alt !== undefined && one.tagName === "IMG" ? one.hasAttribute("alt")
                : one.ariaLabel || one.innerText?.trim() || one.title || one.labels?.length || one.closest("label")))
              .map(one => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def _download(page: Page, path: Path) -> Path:
    with page.expect_download() as download:
        _button(page, "Download PNG").click()
    download.value.save_as(path)
    return path
