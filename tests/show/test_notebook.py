"""How a notebook shows things."""

import base64
import html
import io
import re

import matplotlib.image
import pytest
import torch
from matplotlib.figure import Figure

from minigpt.cache import CacheError, ConcatCache, DynamicCache
from minigpt.show import notebook


@pytest.fixture
def shown(monkeypatch):
    """What was put on the page."""
    bundles = []
    monkeypatch.setattr(notebook, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def test_a_figure_comes_with_its_alt_text(shown):
    notebook.show(Figure(figsize=(2, 1)), 'Two lines, one "above" the other.')
    (bundle,) = shown
    assert bundle["text/plain"] == 'Two lines, one "above" the other.'
    assert 'alt="Two lines, one &quot;above&quot; the other."' in bundle["text/html"]
    (png,) = re.findall(r"base64,([^\"]*)", bundle["text/html"])
    height, width, _ = matplotlib.image.imread(io.BytesIO(base64.b64decode(png))).shape
    assert (width, height) == (2 * 2 * notebook.DPI, 2 * notebook.DPI), "two dots for each of the page"
    assert f'width="{2 * notebook.DPI}"' in bundle["text/html"]


def test_the_same_figure_is_the_same_bytes(shown):
    for _ in range(2):
        notebook.show(notebook.grid(torch.eye(2), ["a", "b"], ["c", "d"], "title"), "alt")
    assert shown[0] == shown[1]


def test_a_refusal_is_printed_in_short_lines(capsys):
    with notebook.refused(CacheError):
        raise CacheError("word " * 40)
    printed = capsys.readouterr().out
    assert printed.startswith("CacheError: word word")
    assert max(map(len, printed.splitlines())) <= 76


def test_where_nothing_is_refused_the_cell_fails():
    with pytest.raises(AssertionError, match="CacheError was expected"), notebook.refused(CacheError):
        pass
    with pytest.raises(KeyError), notebook.refused(CacheError):
        raise KeyError


def test_code_is_shown_as_code_without_its_docstring(shown):
    notebook.code(notebook.refused)
    (bundle,) = shown
    assert bundle["text/markdown"] == f"```python\n{bundle['text/plain']}\n```"
    assert html.unescape(re.sub("<[^>]*>", "", bundle["text/html"])).strip() == bundle["text/plain"]
    assert "def refused(kind" in bundle["text/plain"]
    assert "yield" in bundle["text/plain"]
    assert "Prints the error" not in bundle["text/plain"]


def test_what_changed_is_shown_in_its_place_and_returned_alone(shown):
    lines = notebook.changed(ConcatCache.store, DynamicCache.store)
    assert {line[0] for line in lines} == {"+", "-"}
    assert any("torch.cat" in line for line in lines if line[0] == "-")
    assert not any("torch.cat" in line for line in lines if line[0] == "+")
    (bundle,) = shown
    assert "  def store(self, k, v, layer):" in bundle["text/plain"]
    assert bundle["text/html"].count("<span") == len(bundle["text/plain"].splitlines())


def test_a_grid_writes_its_numbers_and_leaves_out_what_is_not_there():
    figure = notebook.grid(torch.tensor([[1.0, 2.0], [torch.nan, 3.0]]), ["a", "b"], ["c", "d"], "A title")
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.texts] == ["1.00", "2.00", "3.00"]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["c", "d"]
    assert figure.get_suptitle() == "A title"
    (panel,) = notebook.grid(torch.eye(2), ["a", "b"], ["c", "d"], "A title", digits=None).axes
    assert not panel.texts
