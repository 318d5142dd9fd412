"""The page as a file: what is in it, and how it is joined."""

import json
import re
from pathlib import Path

import pytest

from minigpt.page import build
from minigpt.page.bundle import bundle

HOME = Path(__file__).parents[2]
HERE = Path(build.__file__).parent
LARGEST = 3_000_000  # bytes


@pytest.fixture(scope="module")
def page():
    return build.page()


def test_the_committed_page_is_a_fresh_one(page):
    assert (HOME / "figures" / "page.html").read_text(encoding="utf-8") == page, "run `python -m minigpt page`"


def test_its_size(page):
    assert len(page.encode()) <= LARGEST


def test_it_names_nothing_outside_itself(page):
    assert set(re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z][^\s\"'`<]*", page)) <= {"http://www.w3.org/2000/svg"}


def test_its_data_is_read_as_it_was_written(page):
    texts = dict(re.findall(r'<script type="application/json" id="(\w+)">(.*?)</script>', page, re.DOTALL))
    assert json.loads(texts["model"]) == build.data.model()
    assert json.loads(texts["data"]) == {"config": build.data.model()["config"]} | json.loads(
        json.dumps(build.data.scenes())
    )


def test_no_module_is_long_and_each_says_what_it_is():
    for module in HERE.rglob("*.mjs"):
        lines = module.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 180, module.name
        assert lines[0].startswith("// ") or module.name.endswith("_words.mjs"), module.name


# Joining


def modules(tmp_path, **texts):
    """Modules in a folder, of which the entry is `entry`."""
    (tmp_path / "room").mkdir()
    for name, text in texts.items():
        (tmp_path / "room" / f"{name}.mjs").write_text(text, encoding="utf-8")
    return tmp_path / "room" / "entry.mjs"


def test_a_module_comes_once_and_after_those_that_it_imports(tmp_path):
    entry = modules(
        tmp_path,
        entry='import { b } from "./b.mjs";\nimport { c,\n  d } from "./c.mjs";\nb(c, d);\n',
        b='import { c } from "./c.mjs";\nexport const b = () => c;\n',
        c="export function c() {}\nexport class d {}\nconst b = 1;\n",
    )
    assert [line for line in bundle(entry).splitlines() if line] == [
        "const room_c = (() => { // room/c.mjs",
        *["function c() {}", "class d {}", "const b = 1;", "return { c, d };", "})();"],
        "const room_b = (() => { // room/b.mjs",
        *["const { c } = room_c;", "const b = () => c;", "return { b };", "})();"],
        "const room_entry = (() => { // room/entry.mjs",
        *["const { b } = room_b;", "const { c, d } = room_c;", "b(c, d);", "return {  };", "})();"],
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('import { b } from "./b.mjs";\n', "modules import each other: entry.mjs -> b.mjs -> entry.mjs"),
        ('import { missing } from "./c.mjs";\n', "entry.mjs imports missing from c.mjs, which doesn't export it"),
        ('import c from "./c.mjs";\n', "'import c from"),
        ('import * as c from "./c.mjs";\n', "can't be joined: write import { a, b }"),
        ("export let a = 1;\n", "'export let a = 1;' can't be joined"),
        ("export default 1;\n", "'export default 1;' can't be joined"),
    ],
)
def test_what_can_not_be_joined_is_told(tmp_path, text, told):
    b = 'import { entry } from "./entry.mjs";\nexport const b = 1;\n'
    entry = modules(tmp_path, entry=text, b=b, c="export const c = 1;\n")
    with pytest.raises(ValueError, match=re.escape(told)):
        bundle(entry)
