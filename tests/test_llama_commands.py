"""Commands take the folder of a Llama as they take a GPT's."""

import json
import shutil

import pytest
import torch
from helpers import spread

from minigpt.__main__ import main
from minigpt.cache import CACHES
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.pretrained import model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random weights, and the bundled model's tokenizer."""
    path = tmp_path_factory.mktemp("llama")
    sizes = {"vocab_size": 1024, "context": 256, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32, "n_inner": 40}
    spread(Llama(LlamaConfig(**sizes, head_size=16, qk_norm=True, tied_head=True)), seed=3, std=0.4).save_pretrained(
        path
    )
    shutil.copy(model_folder("recall") / "tokenizer.json", path)
    return str(path)


@pytest.fixture(autouse=True)
def _threads():
    yield
    torch.set_num_threads(1)


def test_generate_writes_the_same_text_by_every_exact_cache(folder, capsys):
    texts = set()
    for name, kind in CACHES.items():
        if not kind.lossy and not kind.needs_window:
            arguments = ["generate", "Enter HAMLET.", "--model", folder, "--new-tokens", "12", "--cache", name]
            assert main([*arguments, "--dtype", "float64"]) == 0
            texts.add(capsys.readouterr().out)
    assert len(texts) == 1
    assert len(texts.pop()) > 20


def test_compare_holds_every_cache_to_its_oracle(folder, capsys):
    assert main(["compare", "--model", folder, "--new-tokens", "8", "--dtype", "float64", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {line["cache"]: line["tokens_equal"] for line in told["caches"]} == dict.fromkeys(CACHES, True)


STREAMING = ["--window", "20", "--sinks", "4", "--streaming"]


def test_with_streaming_a_text_passes_the_context(tmp_path, capsys):
    sizes = {"vocab_size": 1024, "context": 24, "n_layer": 1, "n_head": 2, "n_embd": 16, "n_inner": 20}
    spread(Llama(LlamaConfig(**sizes)), seed=3, std=0.4).save_pretrained(tmp_path)
    shutil.copy(model_folder("recall") / "tokenizer.json", tmp_path)
    model = ["--model", str(tmp_path), "--dtype", "float64"]
    compare = ["compare", "--new-tokens", "40", "--cache", "static", "sliding_window", "--json"]
    assert main([*compare, *model, *STREAMING]) == 0, "tokens differ"
    told = json.loads(capsys.readouterr().out)
    assert [line["tokens_equal"] for line in told["caches"]] == [True] * 3
    for command in (["generate", "HAMLET.", "--new-tokens", "40"], ["race", "--new-tokens", "40"]):
        assert main([*command, *model, *STREAMING]) == 0
        assert main([*command, *model, *STREAMING[:-1]]) == 2
        assert "the context is 24" in capsys.readouterr().err
    few = ["recall", "--questions", "1", "--cache", "sliding_window", "--json"]
    assert main([*few, *model, *STREAMING]) == 0, "questions may be longer, too"
    assert main([*few, *model, *STREAMING[:-1]]) == 2


def test_bench_takes_no_streaming(capsys):
    """It tells FLOPs, of which no closed form is known there."""
    with pytest.raises(SystemExit):
        main(["bench", *STREAMING])
    assert "bench takes no --streaming" in capsys.readouterr().err


def test_race_ends_with_the_same_text(folder, capsys):
    assert main(["race", "--model", folder, "--new-tokens", "8", "--dtype", "float64"]) == 0
    assert "the same text: yes, 8 tokens" in capsys.readouterr().out


def test_bench_races_it_with_transformers(folder, capsys):
    arguments = ["--context", "8", "--new-tokens", "3", "--rounds", "1", "--cache", "dynamic", "static", "--json"]
    assert main(["bench", "--model", folder, *arguments, "--peer", "transformers"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == folder
    assert main(["bench", "--model", folder, *arguments, "--peer", "ctranslate2"]) == 2
    assert "ctranslate2" in capsys.readouterr().err


def test_memory_reads_its_config(folder, capsys):
    assert main(["memory", folder]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "2 layers, each of which keeps 2 x 16 (keys) and 2 x 16 (values)" in told
