"""The page in a real browser, without a network. What it logs and asks for is written down, and must be nothing."""

import pytest

from minigpt.page import browser
from minigpt.page.build import page

LONG = 30_000  # milliseconds: a busy machine, without a cache


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page(), encoding="utf-8", newline="\n")
    return file.as_uri()


@pytest.fixture(scope="session")
def chromium():
    if reason := browser.missing():
        pytest.skip(f"{reason}: the page is not tested in a browser")
    with browser.started() as started:
        yield started


class Visitor:
    """Opens tabs. faults: errors, warnings and requests of all of them."""

    def __init__(self, chromium, address: str):
        self.chromium, self.address = chromium, address
        self.faults: list[str] = []
        self.tabs: list = []

    def __call__(self, hash: str, width: int = 1280, height: int = 720, **settings):
        """A tab that shows the scene. settings: Playwright's, as color_scheme or reduced_motion."""
        context = self.chromium.new_context(viewport={"width": width, "height": height}, offline=True, **settings)
        self.tabs.append(context)
        tab = context.new_page()
        tab.set_default_timeout(LONG)
        tab.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        tab.on("console", lambda said: self.faults.append(f"console: {said.text}"))
        tab.on("request", lambda request: self.asked(request.url))
        tab.goto(f"{self.address}#{hash}")
        return tab

    def asked(self, url: str) -> None:
        if not url.startswith((self.address, "blob:")):  # itself, and its workers' source
            self.faults.append(f"request: {url}")


@pytest.fixture
def visit(chromium, address):
    visitor = Visitor(chromium, address)
    yield visitor
    for tab in visitor.tabs:
        tab.close()
    assert visitor.faults == []
