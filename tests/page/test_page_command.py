"""`minigpt page`: it writes the page, and prints what was measured."""

import re

import pytest

from minigpt.__main__ import main
from minigpt.page import node
from minigpt.page.build import page


@pytest.mark.skipif(not node.there(), reason="no `node` on the path: the engine is not measured")
def test_it_writes_the_page_and_prints_what_was_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minigpt.page.measured.NEW", 5)
    monkeypatch.setattr("minigpt.page.browser.missing", lambda: None)
    monkeypatch.setattr("minigpt.page.browser.measured", lambda _: {"first_paint_ms": 123.4, "longest_task_ms": 0})
    out = tmp_path / "new" / "page.html"
    assert main(["page", "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == page()
    size, difference, rate, paint = capsys.readouterr().out.splitlines()
    assert size == f"{out}: {out.stat().st_size / 1e6:.2f} MB"
    assert 0 < float(re.fullmatch(r"largest difference .* behind 100 prompts: (.*)", difference)[1]) < 1e-4
    assert re.fullmatch(r"tokens a second over 5 tokens, .*: \d+ with a cache, \d+\.\d without", rate)
    assert paint == "first paint: 123 ms; longest task: 0 ms"


def test_without_node_and_a_browser_it_says_so_and_the_page_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert main(["page", "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()
    said = capsys.readouterr().out
    assert "engine not measured: there is no `node` on the path" in said
    assert "first paint not measured: " in said


def test_where_nothing_can_be_written_nothing_is_done(tmp_path, capsys):
    assert main(["page", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path} is a folder: name a file" in capsys.readouterr().err


def test_a_name_that_ends_in_a_slash_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["page", "--out", f"{tmp_path}/new/"])
    assert "new/ is a folder: name a file" in capsys.readouterr().err


def test_what_node_says_is_passed_on(tmp_path):
    (tmp_path / "broken.mjs").write_text("throw new Error('no such thing');", encoding="utf-8")
    if not node.there():
        pytest.skip("no `node` on the path")
    with pytest.raises(RuntimeError, match=r"(?s)broken\.mjs failed under Node: .*no such thing"):
        node.ask(tmp_path / "broken.mjs", [])
