"""A GGUF file is read as transformers reads it, but for the split of its tokenizer, which transformers 5.24 ignores."""

import json

import pytest
import torch

pytest.importorskip("gguf", reason="pip install gguf")  # only `python -m minigpt fetch` needs it

from tiny_gguf import SPECIAL, TEMPLATE, random_llama, write
from tokenizers import Regex, Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from minigpt.fetch import gguf_weights
from minigpt.fetch.gguf_folder import write_folder

IDS = torch.randint(3, 200, (2, 30), generator=torch.Generator().manual_seed(0))
# llama.cpp's rules for the split "smollm": each number by itself, then GPT-2's own.
SMOLLM = r"\p{N}", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
TEXTS = [
    "the the",
    "a  12\n\n3 4",
    "It's 2024,  isn't it?\t\t9",
    "x=12;\r\n ½ ٣ ²",
    "é日本 😀",
    "<|im_start|>the<|im_end|>\n",
    "",
]


@torch.no_grad()
def logits(model):
    return model(IDS).logits


def made(tmp_path, **changes):
    """The folder that a GGUF file becomes."""
    write(tmp_path / "tiny.gguf", **changes)
    folder = tmp_path / "made"
    folder.mkdir()
    write_folder(tmp_path / "tiny.gguf", folder)
    return folder


@pytest.mark.parametrize("tied", [True, False])
def test_the_folder_holds_the_model_that_the_file_was_written_from(tied, tmp_path):
    model = random_llama(tied)
    read = LlamaForCausalLM.from_pretrained(made(tmp_path, model=model))
    assert read.config.tie_word_embeddings == tied
    assert torch.equal(logits(read), logits(model))


def test_rounded_weights_are_multiplied_out_as_transformers_does(tmp_path):
    model = random_llama()
    read = LlamaForCausalLM.from_pretrained(made(tmp_path, model=model, rounded=True))
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="tiny.gguf", dtype=torch.float32)
    assert (logits(read) - logits(theirs)).abs().max() < 1e-5
    assert (logits(read) - logits(model)).abs().max() > 0.1  # it was rounded


@pytest.mark.parametrize("wrong", [lambda rows, heads: rows, lambda rows, heads: in_halves(rows, 2 * heads)])
def test_another_order_of_the_rotated_rows_would_be_noticed(wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_weights, "in_halves", wrong)
    model = random_llama()
    read = LlamaForCausalLM.from_pretrained(made(tmp_path, model=model))
    assert (logits(read) - logits(model)).abs().max() > 0.1


in_halves = gguf_weights.in_halves


def test_text_becomes_the_tokens_of_llama_cpps_rules(tmp_path):
    folder = made(tmp_path, model=random_llama())
    ours, theirs = (
        Tokenizer.from_file(str(folder / "tokenizer.json")),
        Tokenizer.from_file(str(folder / "tokenizer.json")),
    )
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(rule), behavior="isolated") for rule in SMOLLM),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    for text in TEXTS:
        ids = ours.encode(text).ids
        assert ids == theirs.encode(text).ids, text
        assert ours.decode(ids, skip_special_tokens=False) == text
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # as if the file named no split
    assert any(ours.encode(text).ids != theirs.encode(text).ids for text in TEXTS)


def test_transformers_finds_the_special_tokens_and_the_chat_template(tmp_path):
    folder = made(tmp_path, model=random_llama())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == TEMPLATE
    assert [tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token] == [SPECIAL[at] for at in (1, 2, 2)]
    read = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == read.encode(text).ids
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "qwen2"}, "architecture llama, got qwen2"),
        ({"llama.rope.scaling.type": "yarn"}, "differ in llama.rope.scaling.type"),
        ({"llama.rope.freq_base": None}, "differ in llama.rope.freq_base"),
        ({"tokenizer.ggml.pre": "qwen2"}, "got gpt2 and qwen2"),
        ({"tokenizer.chat_template": None}, "has no tokenizer.chat_template"),
        ({"more_tensors": [("blk.0.attn_q.bias", torch.ones(64).numpy())]}, "tensor blk.0.attn_q.bias .* no place"),
    ],
)
def test_what_would_be_another_model_is_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        made(tmp_path, model=random_llama(), **changes)
