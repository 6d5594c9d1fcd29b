"""The Explore tab in a real browser."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from served import LONG_WALK, Served

from studio.core.images import open_image, read_recipe


def _stage(page: Page) -> str:
    """The address of the current picture's pixels."""
    source = page.locator(".stage img:visible").get_attribute("src")
    assert source is not None
    return source


def _changed(page: Page, before: str) -> str:
    """The current picture's pixels, once they are others."""
    page.wait_for_function("before => document.querySelector('.stage img').src !== before", arg=before)
    return _stage(page)


def _at_rest(page: Page, look: Callable[[], object]) -> None:
    """Wait until a second passes in which nothing changes."""
    for _ in range(20):
        before = look()
        page.wait_for_timeout(1000)
        if look() == before:
            return
    raise AssertionError("what was stopped goes on")


def _seed(page: Page) -> Locator:
    return page.get_by_label("Seed", exact=True)


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True).locator("visible=true")


def _move(page: Page, name: str, value: float) -> None:
    """Move a slider as a hand does."""
    page.get_by_label(f"range slider for {name}", exact=True).locator("visible=true").fill(str(value))


def _hung(page: Page) -> list[str]:
    """The captions on the wall."""
    return page.locator(".wall .below span").all_inner_texts()


def _gather(page: Page, *places: int) -> None:
    for count, place in enumerate(places, 1):
        page.locator(".wall .card").nth(place).hover()
        page.locator(".wall [data-act=gather]").nth(place).click()
        expect(page.locator(".strip .card")).to_have_count(count)


def test_the_page_opens_with_a_wall_of_pictures_that_say_their_seed(page: Page) -> None:
    assert _hung(page) == [str(seed) for seed in range(9, 25)]
    texts = page.locator("img:visible").evaluate_all("all => all.map(one => one.alt)")
    assert all(texts)
    assert any("seed 15, " in text for text in texts)
    expect(page.locator(".stage img")).to_have_attribute("alt", re.compile("^Picture of seed 9, "))


def test_every_request_stays_on_this_machine(page: Page, served: Served, requests: list[str]) -> None:
    page.get_by_role("tab", name="Classes").click()
    expect(page.locator(".classes .picture img")).to_have_count(18)
    elsewhere = [url for url in requests if not url.startswith((served.url, "data:", "blob:"))]
    assert elsewhere == []
    assert not served.attempts.exists(), served.attempts.read_text()


def test_a_moved_slider_changes_the_current_picture_and_then_the_wall(page: Page) -> None:
    before = _stage(page)
    others = page.locator(".wall .picture img").nth(9)
    wall_before = others.get_attribute("src")
    _move(page, "Truncation", 0.2)
    after = _changed(page, before)
    expect(others).not_to_have_attribute("src", str(wall_before))
    _move(page, "Truncation", 0.8)
    assert _changed(page, after) == before


def test_a_click_makes_a_picture_the_current_one(page: Page) -> None:
    before = _stage(page)
    page.locator(".wall .picture").nth(4).click()
    _changed(page, before)
    expect(page.locator(".stage figcaption b:visible")).to_have_text("13")
    expect(page.locator(".wall .picture").nth(4)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".recent .picture")).to_have_count(2)


def _pressed(page: Page, place: str) -> list[str]:
    """The titles of the marked pictures of a place."""
    return page.locator(f"{place} .picture[aria-pressed='true']").evaluate_all("all => all.map((one) => one.title)")


def test_the_picture_on_the_stage_is_the_one_that_is_marked(page: Page) -> None:
    first, clicked = (page.locator(".wall .picture").nth(index) for index in (0, 4))
    expect(first).to_have_attribute("aria-pressed", "true")
    others = page.locator(".wall .picture img").nth(9)
    before = str(others.get_attribute("src"))
    _move(page, "Truncation", 0.2)
    clicked.click()  # while the wall is on its way
    expect(page.locator(".stage figcaption b:visible")).to_have_text("13")
    expect(others).not_to_have_attribute("src", before)
    expect(clicked).to_have_attribute("aria-pressed", "true")
    title = str(clicked.get_attribute("title"))
    assert (_pressed(page, ".wall"), _pressed(page, ".recent")) == ([title], [title])
    page.locator(".recent .picture").nth(1).click()
    expect(page.locator(".stage figcaption b:visible")).to_have_text("9")
    expect(first).to_have_attribute("aria-pressed", "true")
    assert _pressed(page, ".wall") == [first.get_attribute("title")]


def test_paint_rolls_a_seed_unless_it_is_locked(page: Page) -> None:
    _button(page, "Paint").click()
    expect(_seed(page)).not_to_have_value("9")
    rolled = _seed(page).input_value()
    page.get_by_label("Lock").locator("visible=true").check()
    expect(page.locator(".wall .below span").first).to_have_text(rolled)
    before = _stage(page)
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(1000)
    assert _seed(page).input_value() == rolled
    assert _stage(page) == before
    page.locator("button.dice:visible").click()
    _changed(page, before)
    expect(_seed(page)).not_to_have_value(rolled)


def test_a_typed_seed_is_locked_and_painted_with_control_enter(page: Page) -> None:
    before = _stage(page)
    _seed(page).fill("9223372036854775000")
    expect(page.get_by_label("Lock").locator("visible=true")).to_be_checked()
    page.keyboard.press("Control+Enter")
    _changed(page, before)
    expect(page.locator(".wall .below span").nth(3)).to_have_text("9223372036854775003")


@pytest.mark.parametrize("seed", ["abc", "-1", "9223372036854775808"])
def test_a_bad_seed_is_refused_with_a_sentence_and_nothing_is_lost(page: Page, seed: str) -> None:
    before = _stage(page)
    _seed(page).fill(seed)
    _button(page, "Paint").click()
    expect(page.get_by_text("seed must be a whole number from 0 to 9223372036854775807")).to_be_visible()
    assert _stage(page) == before


def test_the_count_hangs_as_many_pictures(page: Page) -> None:
    _move(page, "Pictures", 5)
    expect(page.locator(".wall .picture img")).to_have_count(5)


def test_variations_surround_the_current_picture(page: Page) -> None:
    _button(page, "Vary").click()
    expect(page.locator(".wall .below span").first).to_contain_text("9~")
    before = _stage(page)
    page.locator(".wall .picture").nth(2).click()
    near = _changed(page, before)
    _move(page, "Variations, radius", 0.9)
    _changed(page, near)
    _move(page, "Variations, radius", 0)
    page.wait_for_function("first => document.querySelector('.stage img').src === first", arg=before)


def test_mixing_takes_styles_of_a_second_picture(page: Page) -> None:
    page.locator(".wall .card").nth(6).hover()
    page.locator(".wall [data-act=second]").nth(6).click()
    expect(page.locator(".second img")).to_be_visible()
    before = _stage(page)
    _button(page, "Mix").click()
    fine = _changed(page, before)
    expect(page.locator(".stage figcaption b:visible")).to_have_text("9×15")
    page.get_by_label("Coarse").check()
    _changed(page, fine)


def test_a_strip_is_ordered_and_walked_as_a_film(page: Page, tmp_path: Path) -> None:
    _gather(page, 1, 2, 3)
    page.locator(".strip [data-act=earlier]").nth(2).click()
    expect(page.locator(".strip .below span").nth(1)).to_have_text("12")
    page.locator(".strip [data-act=discard]").nth(0).click()
    expect(page.locator(".strip .below span")).to_have_text(["12", "11"])
    _move(page, "Frames", 12)
    _button(page, "Render the walk").click()
    video = page.locator("video:visible")
    expect(video).to_be_visible()
    video.evaluate("film => new Promise(done => film.readyState > 1 ? done() : film.onloadeddata = done)")
    assert video.evaluate("film => film.videoWidth") >= 32
    assert video.evaluate("film => film.duration") == pytest.approx(12 / 30, abs=0.05)
    with page.expect_download() as download:
        page.get_by_text("Download the film").locator("visible=true").click()
    download.value.save_as(tmp_path / "walk.mp4")
    assert (tmp_path / "walk.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_walk_can_be_a_gif(page: Page) -> None:
    _gather(page, 0, 1)
    _move(page, "Frames", 8)
    page.get_by_label("GIF").locator("visible=true").check()
    _button(page, "Render the walk").click()
    film = page.locator(".screen img[alt='The walk as a film']")
    expect(film).to_be_visible()
    assert film.evaluate("one => one.decode().then(() => one.naturalWidth)") == 32


def test_a_walk_without_pictures_is_refused_with_a_sentence(page: Page) -> None:
    _button(page, "Render the walk").click()
    expect(page.get_by_text("A walk needs at least 2 pictures")).to_be_visible()


def test_escape_stops_a_walk_and_the_studio_goes_on(page: Page) -> None:
    _gather(page, 0, 1)
    _move(page, "Frames", LONG_WALK)
    _button(page, "Render the walk").click()
    expect(page.locator(".screen img:visible")).to_be_visible()
    page.keyboard.press("Escape")
    _at_rest(page, lambda: page.locator(".screen img:visible").get_attribute("src"))
    assert page.locator("video:visible").count() == 0
    before = _stage(page)
    page.keyboard.press("Control+Enter")
    _changed(page, before)


def test_a_download_carries_its_recipe_and_dropping_it_restores_everything(page: Page, tmp_path: Path) -> None:
    _seed(page).fill("40")
    _move(page, "Pictures", 6)
    _move(page, "Truncation", 0.5)
    page.get_by_label("Class", exact=True).click()
    page.get_by_role("option", name="portrait").click()
    expect(page.locator(".stage img:visible")).to_have_attribute("alt", "Picture of seed 40, portrait")  # the last wall
    expect(page.locator(".wall .below span")).to_have_text([str(seed) for seed in range(40, 46)])
    page.locator(".wall .picture").nth(3).click()
    expect(page.locator(".stage figcaption b:visible")).to_have_text("43")
    page.wait_for_timeout(1000)
    picture = _stage(page)
    saved = _download(page, tmp_path / "43.png")
    recipe = read_recipe(saved)
    assert recipe is not None
    assert recipe["model"] == "small"
    assert recipe["picture"] == {"seed": 43, "classes": {"portrait": 1.0}}
    assert open_image(saved).size == (32, 32)

    page.reload()
    expect(page.locator(".wall .picture img")).to_have_count(16)
    page.wait_for_timeout(1000)  # nobody drops a file into a page within milliseconds of its opening
    _drop(page, saved)
    expect(page.locator(".wall .below span")).to_have_text([str(seed) for seed in range(40, 46)])
    expect(_seed(page)).to_have_value("40")
    expect(page.get_by_label("number input for Truncation").locator("visible=true")).to_have_value("0.5")
    expect(page.get_by_label("Class", exact=True)).to_have_value("portrait")
    expect(page.locator(".stage img:visible")).to_have_attribute("src", picture)


def test_a_download_without_recipe_holds_none_and_says_so_when_it_is_dropped(page: Page, tmp_path: Path) -> None:
    page.get_by_label("with recipe").locator("visible=true").uncheck()
    saved = _download(page, tmp_path / "plain.png")
    assert read_recipe(saved) is None
    page.set_input_files("input[data-testid='Drop or open a PNG-upload-button']", saved)
    expect(page.get_by_text("This PNG carries no recipe")).to_be_visible()


def test_a_broken_model_is_a_sentence_and_another_can_be_chosen(page: Page) -> None:
    expect(page.locator(".broken")).to_contain_text("broken")
    expect(page.locator(".broken")).to_contain_text("pickle")
    before = _stage(page)
    _gather(page, 0)
    _choose(page, "plain")
    _changed(page, before)
    expect(page.get_by_text("styles cannot be mixed")).to_be_visible()
    expect(page.locator(".strip .card")).to_have_count(0)
    _choose(page, "small")
    expect(page.locator(".strip .card")).to_have_count(1)


def test_the_phone_has_the_result_on_top_and_nothing_beside_the_screen(phone: Page) -> None:
    for tab in ("Explore", "Classes"):
        phone.get_by_role("tab", name=tab).click()
        stage = phone.locator(".stage img:visible")
        expect(stage).to_be_visible()
        box = stage.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 844
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        paint = _button(phone, "Paint").bounding_box()
        assert paint is not None
        assert paint["y"] + paint["height"] <= 844


def test_night_is_dark(page: Page, served: Served) -> None:
    colours = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)"
    brightness = f"{colours}.reduce((sum, part) => sum + Number(part), 0)"
    assert page.evaluate(brightness) > 600
    _button(page, "Day or night").click()
    assert page.evaluate(brightness) < 150
    page.goto(f"{served.url}?__theme=dark")
    page.wait_for_selector(".wall .picture img")
    assert page.evaluate(brightness) < 150


def _choose(page: Page, model: str) -> None:
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name=model).click()


def _download(page: Page, path: Path) -> Path:
    with page.expect_download() as download:
        _button(page, "Download PNG").click()
    download.value.save_as(path)
    return path


def _drop(page: Page, file: Path) -> None:
    """Drop a file somewhere on the page."""
    data = page.evaluate_handle(
        """bytes => { const held = new DataTransfer();
                      held.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
                      return held; }""",
        list(file.read_bytes()),
    )
    page.dispatch_event(".wall", "drop", {"dataTransfer": data})
