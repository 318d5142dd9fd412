"""The page in a real browser, without a network. What it logs and asks for is written down, and must be nothing."""

import functools

import pytest
from tabs import SCENES, Visitor, found

import minigpt
from minigpt.page import browser
from minigpt.page.build import page


@pytest.fixture(scope="session")
def model():
    """The bundled model, in torch."""
    return minigpt.load("recall")


@pytest.fixture(scope="session")
def tokenizer():
    return minigpt.load_tokenizer("recall")


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Of the page, built anew."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page(), encoding="utf-8", newline="\n")
    return file.as_uri()


@pytest.fixture(scope="session")
def chromium():
    if reason := browser.missing():
        pytest.skip(f"{reason}: the page is not tested in a browser")
    with browser.started() as started:
        yield started


@pytest.fixture
def visit(chromium, address):
    """Opens tabs, of which none may complain or ask for anything."""
    visitor = Visitor(chromium, address)
    yield visitor
    visitor.close()
    assert visitor.faults == []


@pytest.fixture(scope="module")
def settled(chromium, address):
    """A scene that has found something, shared by the tests that only look at it; they may change its size."""
    visitor = Visitor(chromium, address)

    @functools.cache
    def opened(scene: str, language: str = "en"):
        tab = visitor(f"scene={scene}&{SCENES[scene]}&lang={language}")
        found(tab)
        tab.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
        return tab

    yield opened
    visitor.close()
    assert visitor.faults == []
