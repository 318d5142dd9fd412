"""What the page says, in English and in Chinese: the same words, with the same values in them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import minigpt.page
from minigpt.page import node

HERE = Path(minigpt.page.__file__).parent
FILES = sorted(HERE.rglob("*words.mjs"))
SCENES = ["break_it", "forget", "grow", "memory", "race"]

pytestmark = pytest.mark.skipif(not node.there(), reason="no `node` on the path: the page's words are not compared")


@pytest.fixture(scope="module")
def words():
    """By file: language -> name -> words."""
    read = "async (file) => Object.values(await import(file)).find((each) => each.en)"
    script = (
        f"console.log(JSON.stringify(await Promise.all({json.dumps([file.as_uri() for file in FILES])}.map({read}))))"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script], capture_output=True, encoding="utf-8", check=True
    )
    return dict(
        zip((file.stem.removesuffix("words").strip("_") for file in FILES), json.loads(done.stdout), strict=True)
    )


def test_every_scene_has_some_and_so_has_the_shell(words):
    assert sorted(words) == ["", *SCENES]


@pytest.mark.parametrize("scene", ["", *SCENES])
def test_both_languages_have_the_same_words_with_the_same_values(words, scene):
    english, chinese = (values(words[scene][language]) for language in ("en", "zh"))
    assert chinese == english


@pytest.mark.parametrize("scene", SCENES)
def test_no_word_of_a_scene_hides_one_of_the_shell(words, scene):
    assert not words[scene]["en"].keys() & words[""]["en"].keys() - {"keys"}


def values(words: dict) -> dict:
    """What is filled into each word; of the keys, which there are."""
    keys = [key for key, _ in words.get("keys", [])]
    return {name: sorted(set(re.findall(r"\{\w+\}", word))) for name, word in words.items() if name != "keys"} | {
        "keys": keys
    }
