"""The cell of notebook 12 that the build leaves out: where a model was fetched it answers, else it says so."""

import json
import shutil
import sys

import jupytext
import pytest
import torch
from helpers import spread

from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.pretrained import model_folder
from notebooks.build import FOLDER

CELLS = jupytext.read(FOLDER / "12_a_real_model.py", fmt="py:percent").cells


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """What the cell prints, in a folder beside which a model may lie."""
    (imports,) = [cell.source for cell in CELLS if cell.source.startswith("import sys")]
    (live,) = [cell.source for cell in CELLS if "skip-execution" in cell.metadata.get("tags", [])]
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(sys, "path", [*sys.path])
    imports = imports.replace("_ = torch.set_grad_enabled(False)", "")

    def printed():
        with torch.no_grad():
            exec(f"{imports}\n{live}", {})  # noqa: S102 (our own)
        return capsys.readouterr().out

    return printed


def test_without_a_model_it_says_that_it_is_skipped(run):
    assert run() == "skipped: there is no folder smollm2 beside the folder of the notebooks\n"


def test_with_a_model_it_writes_the_same_with_a_cache_and_without(run, tmp_path):
    sizes = {"vocab_size": 1024, "context": 256, "n_layer": 1, "n_head": 2, "n_embd": 16, "n_inner": 20}
    spread(Llama(LlamaConfig(**sizes)), seed=3, std=0.4).save_pretrained(tmp_path / "smollm2")
    shutil.copy(model_folder("recall") / "tokenizer.json", tmp_path / "smollm2")
    template = {"chat_template": "{{ messages[0].content }}"}
    (tmp_path / "smollm2" / "tokenizer_config.json").write_text(json.dumps(template), encoding="utf-8")
    cached, uncached, text = run().split("\n", 2)
    assert cached.startswith("with a cache: True, ")
    assert uncached.startswith("with a cache: False, ")
    assert text.strip()
