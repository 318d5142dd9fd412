"""The page's tokenizer against the bundled one, and its text as it streams against the terminal's."""

import random
import re

import pytest
import torch
from engine_asked import NEEDS_NODE, asked, is_noticed, mutant

from minigpt.show.stream import TextStream

pytestmark = NEEDS_NODE


def rounded_text(seed):
    """Any characters, some that the tokenizer has words for, and its added tokens among them."""
    draw = random.Random(seed)
    pieces = [
        lambda: draw.choice(["Romeo", " Juliet", "[Give", ".]\n", " ruby", "the ", "'ll", "'S", "don't", "HAMLET.\n"]),
        lambda: "".join(chr(draw.randrange(32, 127)) for _ in range(draw.randrange(1, 12))),
        lambda: draw.choice([" ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u0085", "\u3000", "\ufeff", "\u200b", "\x1c"]),
        lambda: "".join(draw.choice("Ünïcødé 今天天气 ½²٣Ⅷ 🙂👩‍🚀 ’… שלום हिन्दी") for _ in range(draw.randrange(1, 9))),
        lambda: chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])),
    ]
    return "".join(draw.choice(pieces)() for _ in range(draw.randrange(1, 20)))


TEXTS = ["", *(rounded_text(seed) for seed in range(300))]

ANY_IDS = [[random.Random(seed).randrange(1024) for _ in range(30)] for seed in range(50)]

EVERY_ID = [*range(1024)]
SPLIT = ["🙂", "a🙂b", "今天天气", "naïve 👩‍🚀…"]  # each with characters of several tokens
REQUESTS = {
    "encoded": {"kind": "encoded", "texts": TEXTS},
    "decoded": {"kind": "decoded", "texts": ANY_IDS},
    "streamed": {"kind": "streamed", "texts": ANY_IDS},
    "tokens": {"kind": "tokens", "texts": SPLIT},
    "named": {"kind": "named", "ids": EVERY_ID},
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


def test_any_text_gives_the_same_ids(tokenizer, answers):
    assert len(set(TEXTS)) > 250
    for text, ids in zip(TEXTS, answers["encoded"], strict=True):
        assert ids == tokenizer.encode(text).ids, repr(text)


def test_any_ids_give_the_same_text_at_once_and_one_by_one(tokenizer, answers):
    for ids, text, parts in zip(ANY_IDS, answers["decoded"], answers["streamed"], strict=True):
        assert text == "".join(parts) == tokenizer.decode(ids, skip_special_tokens=False)


def test_a_character_of_several_tokens_comes_with_its_last_one_as_in_the_terminal(tokenizer, answers):
    for text, tokens in zip(SPLIT, answers["tokens"], strict=True):
        pieces: list[str] = []
        terminal = TextStream(tokenizer, pieces.append)
        for token in tokens:
            terminal.put(torch.tensor([token["id"]]))
        assert [token["text"] for token in tokens] == pieces
        assert "" in pieces
        assert "".join(pieces) == text


def test_a_token_that_is_no_whole_character_is_named_by_its_bytes(tokenizer, answers):
    names = dict(zip(EVERY_ID, answers["named"], strict=True))
    assert len(names) == tokenizer.get_vocab_size()
    texts = {token: tokenizer.decode([token], skip_special_tokens=False) for token in EVERY_ID}
    parts = {token for token, text in texts.items() if "\ufffd" in text}
    assert {token: names[token] for token in texts.keys() - parts} == {t: texts[t] for t in texts.keys() - parts}
    for token in parts:  # the vocabulary has a token for each byte
        assert re.fullmatch("<[89A-F][0-9A-F]>", names[token])
    assert len({names[token] for token in parts}) == len(parts) == 128
    for text, tokens in zip(SPLIT, answers["tokens"], strict=True):
        told = "".join(token["name"] for token in tokens)
        written = re.sub("(?:<[0-9A-F]{2}>)+", lambda found: bytes.fromhex(re.sub("[<>]", "", found[0])).decode(), told)
        assert written == text


MUTANTS = {  # before, after; what is asked, and who notices
    "words without their space": (
        *(r" ?\p{L}+", r"\p{L}+"),
        *("encoded", test_any_text_gives_the_same_ids),
    ),
    "characters in parts": (
        *("this.bytesOf(id), { stream: true }", "this.bytesOf(id)"),
        *("tokens", test_a_character_of_several_tokens_comes_with_its_last_one_as_in_the_terminal),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_tokenizer_is_noticed(tokenizer, name, tmp_path):
    *change, what, notices = MUTANTS[name]
    engine = mutant(tmp_path, "tokenizer", *change)
    is_noticed(lambda answers: notices(tokenizer, answers), {what: REQUESTS[what]}, engine)


def test_a_box_for_a_byte_is_noticed(tokenizer, tmp_path):
    engine = mutant(tmp_path, "tokenizer", "{ fatal: true, ", "{ ")
    notices = test_a_token_that_is_no_whole_character_is_named_by_its_bytes
    asked_for = {name: REQUESTS[name] for name in ("named", "tokens")}
    is_noticed(lambda answers: notices(tokenizer, answers), asked_for, engine)
