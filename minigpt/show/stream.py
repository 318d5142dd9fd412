"""Text on the screen while it is generated."""

from collections.abc import Callable

from jaxtyping import Int
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from torch import Tensor


class TextStream:
    """A streamer for `generate`: writes the prompt, then each new piece of text as soon as it is whole.

    write: takes a string. A character whose bytes are split between tokens waits for its last byte, and if that never
        comes, it is not written. skip_prompt: what comes first is not written, as in transformers.
    Raises ValueError for more than one row: two texts can't be written in one place.
    """

    def __init__(self, tokenizer: Tokenizer, write: Callable[[str], object], skip_prompt: bool = False):
        self.tokenizer, self.write, self.skip = tokenizer, write, skip_prompt
        self.decoder = DecodeStream(skip_special_tokens=True)

    def put(self, ids: Int[Tensor, "B T"] | Int[Tensor, " B"]) -> None:
        if len(ids) != 1:
            raise ValueError(f"only one text can be streamed, got {len(ids)} rows")
        if self.skip:  # what comes first
            self.skip = False
            return
        pieces = [self.decoder.step(self.tokenizer, token) for token in ids.flatten().tolist()]
        self.write("".join(piece for piece in pieces if piece))

    def end(self) -> None:
        self.write("\n")
