"""A real Chromium on the real app. Without one the tests are skipped, but not where CI is set: there they fail."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from critics import write_classifier
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from served import Served, serving, shelf

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120_000  # milliseconds
expect.set_options(timeout=PATIENCE / 2)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = "no Chromium found; install one, or name it in the environment variable CHROMIUM"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    write_classifier(shelf(folder / "checkpoints") / "classifier.safetensors")
    with serving(folder) as app:
        yield app


@pytest.fixture
def requests() -> list[str]:
    """The addresses that the page has asked for."""
    return []


@pytest.fixture
def page(chromium: Browser, served: Served, requests: list[str]) -> Iterator[Page]:
    """The page with its first wall painted; a script error on it fails the test."""
    with _opened(chromium, served, requests, width=1440, height=900) as page:
        yield page


@pytest.fixture
def phone(chromium: Browser, served: Served, requests: list[str]) -> Iterator[Page]:
    """The same on a phone."""
    with _opened(chromium, served, requests, width=390, height=844) as page:
        yield page


@pytest.fixture
def open_page(chromium: Browser) -> Callable[[Served], AbstractContextManager[Page]]:
    """The page of another app than the one that all tests share, as wide as a desk."""
    return lambda app: _opened(chromium, app, [], width=1440, height=900)


@contextmanager
def _opened(chromium: Browser, served: Served, requests: list[str], width: int, height: int) -> Iterator[Page]:
    errors: list[str] = []
    context = chromium.new_context(viewport=ViewportSize(width=width, height=height), has_touch=width < 500)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error.stack)))
    page.goto(served.url)
    expect(page.locator(".wall .picture img")).to_have_count(16, timeout=PATIENCE)
    yield page
    context.close()
    assert errors == []
