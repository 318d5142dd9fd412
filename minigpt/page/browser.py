"""How fast the page is in a real browser: Chromium, if there is one, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TYPED = "Now is the winter of our discontent"

WATCH = """() => {
  window.longest = 0;
  const longer = (entries) => (window.longest = Math.max(window.longest, ...entries.map(({ duration }) => duration)));
  new PerformanceObserver((list) => longer(list.getEntries())).observe({ type: "longtask" });
}"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def chromium() -> str | None:
    """The program, where there is one."""
    return next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome", "chrome"])), None)


def missing() -> str | None:
    """What is missing for a browser to be driven; None where nothing is."""
    if find_spec("playwright") is None:
        return "Playwright is not installed: pip install '.[browser]' in the project's folder"
    return None if chromium() else "there is no Chromium on the path"


@contextmanager
def started() -> Iterator[Any]:
    """A browser without a window, for as long as the block lasts."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        try:
            yield browser
        finally:
            browser.close()


def measured(page: Path) -> dict[str, float]:
    """first_paint_ms: from the start of loading to the first letters. longest_task_ms: the longest time that the page
    didn't answer while a prompt was typed into the race; 0 where it was never more than 50."""
    with started() as browser:
        tab = browser.new_page(viewport={"width": 1280, "height": 720})
        tab.goto(page.absolute().as_uri() + "#scene=race")
        tab.wait_for_function(PAINT)
        paint = tab.evaluate(PAINT)
        tab.evaluate(WATCH)
        tab.keyboard.press("p")
        tab.keyboard.type(TYPED, delay=30)
        tab.wait_for_timeout(500)
        return {"first_paint_ms": paint, "longest_task_ms": tab.evaluate("() => window.longest")}
