"""The Lab in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from studio_styles import painting

BENCHES = ("Side by side", "Critic", "Your picture", "Train", "Studies")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "mine").mkdir()
    for seed in range(16):
        painting(40, seed).save(folder / "mine" / f"{seed}.png")
    return folder


@pytest.fixture
def lab(page: Page) -> Page:
    """The tab with its first two models side by side."""
    return _entered(page)


def _entered(page: Page) -> Page:
    page.get_by_role("tab", name="Lab", exact=True).click()
    expect(page.locator(".beside section")).to_have_count(2)
    return page


def _bench(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True).locator("visible=true")


def _upload(page: Page, label: str, file: Path) -> None:
    page.set_input_files(f"input[data-testid='{label}-upload-button']", file)


def _move(page: Page, name: str, value: float) -> None:
    page.get_by_label(f"range slider for {name}", exact=True).locator("visible=true").fill(str(value))


def test_the_same_seeds_stand_side_by_side_and_follow_the_sliders(lab: Page) -> None:
    pictures = lab.locator(".beside img")
    expect(pictures).to_have_count(8)
    assert pictures.evaluate_all("all => all.map(one => one.alt)")[:5] == [
        *(f"Seed {seed} by meta" for seed in (1, 2, 3, 4)),
        "Seed 1 by plain",
    ]
    second = str(pictures.nth(1).get_attribute("src"))
    _move(lab, "First seed", 2)
    expect(pictures.nth(0)).to_have_attribute("src", second)
    _move(lab, "Truncation", 0.1)
    expect(pictures.nth(0)).not_to_have_attribute("src", second)


def test_the_critic_judges_what_is_brought_and_what_explore_shows(page: Page, files: Path) -> None:
    _button(page, "What is it?").click()
    expect(page.locator(".lab-bars li")).to_have_count(2)
    shown = page.locator(".lab-pair img:visible")
    expect(shown.nth(0)).to_have_attribute("alt", re.compile("small 9"))
    _upload(page, "Choose a picture to judge", files / "mine" / "3.png")
    expect(shown.nth(0)).to_have_attribute("alt", "3")
    page.locator(".lab-bars button").nth(1).click()
    expect(page.locator(".lab-bars button").nth(1)).to_have_attribute("aria-pressed", "true")


def test_a_picture_of_one_s_own_is_found_moved_and_explored(lab: Page, files: Path) -> None:
    _bench(lab, "Your picture")
    _button(lab, "Find").click()
    expect(lab.get_by_text("There is no picture to look for yet")).to_be_visible()
    _upload(lab, "Choose your own picture", files / "mine" / "1.png")
    expect(lab.locator(".find-stage img")).to_have_count(1)
    _move(lab, "Seconds to look", 1)
    _button(lab, "Find").click()
    expect(lab.locator(".status:visible")).to_contain_text("Found in")
    pictures = lab.locator(".find-stage img")
    expect(pictures).to_have_count(2)
    found = str(pictures.nth(1).get_attribute("src"))
    _move(lab, "Direction 1", 3)
    expect(pictures.nth(0)).to_have_attribute("src", found)
    expect(pictures.nth(1)).not_to_have_attribute("src", found)
    _move(lab, "Direction 1", 0)
    expect(pictures).to_have_count(1)
    _button(lab, "Explore it").click()
    expect(lab.locator(".stage figcaption b:visible")).to_have_text("own")
    expect(lab.locator(".wall .below span")).to_have_text(["own", *(f"own~{seed}" for seed in range(1, 9))])


def test_a_model_is_trained_survives_a_closed_page_and_appears_everywhere(lab: Page, files: Path) -> None:
    _bench(lab, "Train")
    _button(lab, "Train").click()
    expect(lab.get_by_text("A model's name must have")).to_be_visible()
    lab.get_by_label("Name of the model").fill("taught")
    lab.get_by_label("Folder of pictures").fill(str(files / "mine"))
    lab.get_by_label("Size of its pictures").click()
    lab.get_by_role("option", name="32 px").click()
    _button(lab, "Train").click()
    expect(lab.locator(".runs li")).to_contain_text("taught")
    lab.reload()
    _entered(lab)
    _bench(lab, "Train")
    expect(lab.locator(".lab-curves svg")).to_be_visible(timeout=120_000)
    expect(lab.locator(".runs li")).to_contain_text("dcgan, training")
    lab.get_by_label("Pause taught").click()
    expect(lab.locator(".runs li")).to_contain_text("dcgan, paused", timeout=60_000)
    lab.get_by_label("Stop and keep taught").click()
    expect(lab.locator(".runs li")).to_contain_text("in the library", timeout=120_000)
    lab.wait_for_timeout(4000)  # the lists of models follow a moment later
    _bench(lab, "Side by side")
    lab.get_by_label("Models").first.click()
    expect(lab.get_by_role("option", name="taught").first).to_be_visible()
    lab.keyboard.press("Escape")
    lab.get_by_label("Model", exact=True).click()
    expect(lab.get_by_role("option", name="taught").first).to_be_visible()


def test_studies_that_are_not_there_name_their_command(lab: Page) -> None:
    _bench(lab, "Studies")
    expect(lab.locator(".study code").or_(lab.locator(".lab-study table"))).not_to_have_count(0)


def test_the_phone_holds_every_bench(phone: Page) -> None:
    lab = _entered(phone)
    first = lab.locator(".beside img").first.bounding_box()
    assert first is not None
    assert first["y"] + first["height"] < 844
    for name in BENCHES:
        _bench(lab, name)
        assert lab.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_every_control_of_the_tab_has_a_name(lab: Page) -> None:
    for name in BENCHES:
        _bench(lab, name)
        nameless = lab.evaluate(
            """() => [...document.querySelectorAll(".benches button, .benches input, .benches img")]
                  .filter(one => one.offsetParent && one.type !== "file")
                  .filter(one => !(one.tagName === "IMG" ? one.alt
                    : one.ariaLabel || one.innerText?.trim() || one.title || one.labels?.length
                    || one.closest("label")))
                  .map(one => one.outerHTML.slice(0, 160))"""
        )
        assert nameless == [], name
