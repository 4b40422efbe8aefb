"""A real browser for the tests of pages: the one that the machine has, by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Opened:
    """A tab. complaints: what the console and the page's errors said; asked: addresses that it asked for."""

    tab: object
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def find_browser() -> str:
    """The path of a browser; skips the test, with the reason, where there is none."""
    pytest.importorskip("playwright", reason="the tests of pages need playwright")
    path = next((found for name in NAMES if (found := shutil.which(name))), "")
    if not path:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    return path


@contextmanager
def start_browser() -> Iterator[object]:
    """Headless; ended whatever happens."""
    path = find_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"], timeout=120_000
        )
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser, url: str, **options) -> Opened:
    """A page in a tab of its own, drawn to its end."""
    tab = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **options})
    tab.set_default_timeout(60_000)
    opened = Opened(tab)
    tab.on("console", lambda said: opened.complaints.append(f"{said.type}: {said.text}"))
    tab.on("pageerror", lambda failure: opened.complaints.append(str(failure)))
    tab.on("dialog", lambda dialog: (opened.complaints.append("a dialog"), dialog.dismiss()))
    tab.on("request", lambda request: opened.asked.append(request.url))
    tab.goto(url)
    tab.wait_for_selector("html[data-ready]")
    return opened
