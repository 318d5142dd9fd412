"""Text on the screen while it is generated."""

from collections.abc import Callable

from jaxtyping import Int
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from torch import Tensor


class TextStream:
    """A streamer for `generate`: writes the prompt, then each new piece of text as soon as it is whole.

    write: takes a string. A character whose bytes are split between tokens waits for its last byte, and if that never
        comes, it is not written.
    Raises ValueError for more than one row: two texts can't be written in one place.
    """

    def __init__(self, tokenizer: Tokenizer, write: Callable[[str], object]):
        self.tokenizer, self.write = tokenizer, write
        self.decoder = DecodeStream(skip_special_tokens=True)

    def put(self, ids: Int[Tensor, "B T"] | Int[Tensor, " B"]) -> None:
        if len(ids) != 1:
            raise ValueError(f"only one text can be streamed, got {len(ids)} rows")
        pieces = [self.decoder.step(self.tokenizer, token) for token in ids.flatten().tolist()]
        self.write("".join(piece for piece in pieces if piece))

    def end(self) -> None:
        self.write("\n")
