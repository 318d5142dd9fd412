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


def test_a_character_that_is_never_whole_is_not_written():
    tokenizer = load_tokenizer(model_folder("recall"))
    ids = tokenizer.encode("end 🙂").ids
    pieces = []
    stream = TextStream(tokenizer, pieces.append)
    stream.put(torch.tensor([ids[:-1]]))
    stream.end()
    assert "".join(pieces) == "end \n"


def test_any_tokens_stream_as_the_text_that_they_decode_to():
    """Also bytes that are no character at all, in any order."""
    tokenizer = load_tokenizer(model_folder("recall"))
    random = torch.Generator().manual_seed(0)
    for _ in range(200):
        ids = torch.cat([torch.randint(300, (20,), generator=random), torch.tensor(tokenizer.encode(" end").ids)])
        pieces = []
        stream = TextStream(tokenizer, pieces.append)
        stream.put(ids[None, :1])
        for token in ids[1:]:
            stream.put(token[None])
        assert "".join(pieces) == tokenizer.decode(ids.tolist())


def test_two_rows_are_refused():
    with pytest.raises(ValueError, match="only one text can be streamed, got 2 rows"):
        TextStream(load_tokenizer(model_folder("recall")), print).put(torch.zeros(2, 3, dtype=torch.int64))
