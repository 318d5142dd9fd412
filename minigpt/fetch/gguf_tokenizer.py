"""The tokenizer in a GGUF file, as the tokenizer.json and tokenizer_config.json of a folder."""

from typing import Any

from gguf import GGUFReader, TokenType
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from minigpt.fetch.gguf_config import special_tokens, value


def read_tokenizer(reader: GGUFReader) -> Tokenizer:
    """The byte-level BPE of SmolLM2: each digit is by itself, then a text is split as GPT-2's.

    The file only names that split, "smollm"; its rules stand in llama.cpp. Raises ValueError for another.
    """
    kind, split = (value(reader, f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    if (kind, split) != ("gpt2", "smollm"):
        raise ValueError(f"this reads tokenizers of the kind gpt2 that split as smollm, got {kind} and {split}")
    tokens, types, merges = (value(reader, f"tokenizer.ggml.{name}") for name in ("tokens", "token_type", "merges"))
    vocabulary = {token: at for at, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def read_tokenizer_config(reader: GGUFReader) -> dict[str, Any]:
    """What transformers needs beside the tokenizer: its special tokens, and the chat template."""
    tokens = value(reader, "tokenizer.ggml.tokens")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": value(reader, "llama.context_length"),
        "clean_up_tokenization_spaces": False,
        "chat_template": value(reader, "tokenizer.chat_template"),
        **{name.removesuffix("_id"): tokens[at] for name, at in special_tokens(reader).items()},
    }
