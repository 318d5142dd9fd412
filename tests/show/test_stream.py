"""Text that is streamed in pieces is the text, whole characters at a time."""

import pytest
import torch

from minigpt.pretrained import load_tokenizer, model_folder
from minigpt.show.stream import TextStream


def test_a_character_split_between_tokens_is_written_when_it_is_whole():
    tokenizer = load_tokenizer(model_folder("recall"))
    text = "naïve 猫 🙂 end"
    ids = tokenizer.encode(text).ids
    assert len(ids) > len(text), "the test needs characters of several tokens"
    pieces = []
    stream = TextStream(tokenizer, pieces.append)
    stream.put(torch.tensor([ids[:3]]))
    for token in ids[3:]:
        stream.put(torch.tensor([token]))
        assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)
    stream.end()
    assert "".join(pieces) == text + "\n"


def test_two_rows_are_refused():
    with pytest.raises(ValueError, match="only one text can be streamed, got 2 rows"):
        TextStream(load_tokenizer(model_folder("recall")), print).put(torch.zeros(2, 3, dtype=torch.int64))
