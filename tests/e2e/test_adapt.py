"""The Adapt tab in a real browser, on a small untrained base."""

import re
from pathlib import Path

import pytest
from hands import work, write_works
from playwright.sync_api import Browser, Locator, Page, expect
from served import Served

LONG = 180_000  # milliseconds, for a job of seconds on a busy machine


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("works")
    write_works(folder)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    work(7, 40, 40).save(folder / "small.png")
    return folder


def _entered(page: Page, files: Path) -> Page:
    """The tab with five good pictures, a broken and a small one, and a method with neither trial nor end."""
    page.get_by_role("tab", name="Adapt").click()
    page.set_input_files("input[data-testid='Add your pictures-upload-button']", sorted(files.iterdir()))
    expect(page.locator(".offered .card")).to_have_count(7)
    page.get_by_label("Base and method").check(force=True)
    page.locator(".methods label", has_text="finetune: ").locator("input").check(force=True)
    return page


@pytest.fixture
def desk(page: Page, files: Path) -> Page:
    return _entered(page, files)


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True).locator("visible=true")


def _status(page: Page) -> Locator:
    return page.locator(".adapt-desk .status")


def _learned(page: Page) -> Page:
    """Adapted until there is a snapshot after some steps, then stopped."""
    page.get_by_label("3 min").check(force=True)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".pairs img")).to_have_count(16, timeout=LONG)
    expect(page.locator(".pairs p").nth(1)).to_contain_text("After", timeout=LONG)
    page.keyboard.press("Escape")
    expect(_status(page)).to_contain_text("Stopped by you. The snapshot after", timeout=LONG)
    return page


def test_the_tab_opens_with_a_picture_of_what_it_does(page: Page) -> None:
    page.get_by_role("tab", name="Adapt").click()
    example = page.locator(".square-box .nothing img")
    expect(example).to_be_visible()
    assert example.evaluate("one => [one.naturalWidth, one.naturalHeight]") == [512, 512]
    assert str(example.get_attribute("alt")).startswith("Four seeds in four rows")


def test_every_picture_has_its_verdict_and_can_be_taken_out(desk: Page) -> None:
    expect(desk.locator(".offered .unused")).to_have_count(2)
    expect(desk.locator(".offered")).to_contain_text("broken.png is truncated or damaged")
    expect(desk.locator(".offered")).to_contain_text("40x40 is too small")
    expect(desk.get_by_text("5 of 7 pictures will be learned from.")).to_be_visible()
    desk.get_by_label("Take broken.png out").click()
    desk.get_by_label("Take work-0.png out").click()
    expect(desk.get_by_text("4 of 5 pictures will be learned from.")).to_be_visible()
    _button(desk, "Remove all").click()
    expect(desk.get_by_text("Drop 5 to 20 pictures of yours here")).to_be_visible()
    _button(desk, "Adapt").click()
    expect(desk.get_by_text("There is no picture to learn from yet")).to_be_visible()


def test_stop_keeps_what_is_there_and_it_can_be_scrubbed_explored_and_mixed(desk: Page, tmp_path: Path) -> None:
    _learned(desk)
    expect(desk.locator(".square-box .nothing")).to_be_hidden()
    after = desk.locator(".square-box .after")
    last = after.get_attribute("src")
    slider = desk.get_by_label("range slider for Snapshot")
    slider.fill("0")
    expect(desk.locator(".pairs p").nth(1)).to_contain_text("At the start")
    assert after.get_attribute("src") != last
    slider.fill(slider.get_attribute("max") or "1")
    expect(after).to_have_attribute("src", str(last))
    desk.locator(".pairs .picture").nth(4).click()
    expect(desk.locator(".square-box b")).to_have_text("Picture 5")
    expect(desk.locator(".nearest img")).to_have_attribute("alt", re.compile("^Your picture work-[0-4]$"))
    with desk.expect_download() as download:
        _button(desk, "Download").click()
    download.value.save_as(tmp_path / "mine.safetensors")
    assert 0 < (tmp_path / "mine.safetensors").stat().st_size < 1_500_000

    _button(desk, "Explore it").click()
    expect(desk.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")
    expect(desk.locator(".about .facts")).to_contain_text("adapted from meta", timeout=LONG)
    expect(desk.locator(".wall .picture img").first).to_have_attribute("alt", re.compile("my hand"), timeout=LONG)
    expect(desk.get_by_label("range slider for Adaptation").locator("visible=true")).to_be_visible()
    assert desk.get_by_label("Model").input_value() == "my hand · not kept"

    desk.get_by_role("tab", name="Adapt").click()
    _button(desk, "Mix it in Classes").click()
    expect(desk.locator(".mixer label").last).to_contain_text("my hand", timeout=LONG)
    expect(desk.locator(".classes th[scope='row']")).to_have_count(3, timeout=LONG)

    desk.get_by_role("tab", name="Adapt").click()
    desk.get_by_label("Name of your class").fill("kept hand")
    _button(desk, "Keep in my library").click()
    expect(_status(desk)).to_contain_text("Kept in your library as kept hand")
    _button(desk, "Keep in my library").click()
    expect(desk.get_by_text("There is a model called 'kept hand' already; choose another name")).to_be_visible()
    desk.set_input_files("input[data-testid='Open an adapter file-upload-button']", tmp_path / "mine.safetensors")
    expect(desk.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")


def test_another_session_sees_nothing_of_it(desk: Page, chromium: Browser, served: Served) -> None:
    _learned(desk)
    _button(desk, "Explore it").click()
    expect(desk.locator(".about .facts")).to_contain_text("adapted from meta", timeout=LONG)
    context = chromium.new_context()
    other = context.new_page()
    other.goto(served.url)
    expect(other.locator(".wall .picture img")).to_have_count(16)
    other.get_by_label("Model").click()
    options = other.get_by_role("option").all_inner_texts()
    assert options
    assert not any("not kept" in text for text in options)
    context.close()


def test_a_slider_elsewhere_answers_while_it_works(desk: Page) -> None:
    desk.get_by_label("3 min").check(force=True)
    desk.keyboard.press("Control+Enter")
    expect(desk.locator(".pairs img")).to_have_count(16, timeout=LONG)
    desk.get_by_role("tab", name="Explore").click()
    before = desk.locator(".stage img").get_attribute("src")
    desk.get_by_label("range slider for Truncation").locator("visible=true").fill("0.2")
    expect(desk.locator(".stage img")).not_to_have_attribute("src", str(before))
    desk.get_by_role("tab", name="Adapt").click()
    expect(_status(desk)).to_contain_text(re.compile("Adapting|Preparing"))
    desk.keyboard.press("Escape")
    expect(_status(desk)).to_contain_text("Stopped by you", timeout=LONG)


def test_the_phone_has_the_result_on_top(phone: Page, files: Path) -> None:
    page = _learned(_entered(phone, files))
    box = page.locator(".square-box .after").bounding_box()
    assert box is not None
    assert box["width"] > 250
    rail = page.locator(".offered").bounding_box()
    assert rail is not None
    assert box["y"] < rail["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    adapt = _button(page, "Adapt").bounding_box()
    assert adapt is not None
    assert adapt["y"] + adapt["height"] <= 844


def test_every_control_of_the_tab_has_a_name(desk: Page) -> None:
    nameless = desk.evaluate(
        """() => [...document.querySelectorAll(".adapt-desk button, .adapt-desk input, .adapt-desk img")]
              .filter(one => one.offsetParent && one.type !== "file")
              .filter(one => !(one.alt !== undefined && one.tagName === "IMG" ? one.hasAttribute("alt")
                : one.ariaLabel || one.innerText?.trim() || one.title || one.labels?.length || one.closest("label")))
              .map(one => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
