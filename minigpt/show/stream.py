"""Text on the screen while it is generated."""

from collections.abc import Callable

from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor


class TextStream:
    """A streamer for `generate`: writes the prompt, then each new piece of text as soon as it is whole.

    write: takes a string. A character whose bytes are split between tokens waits for its last byte.
    Raises ValueError for more than one row: two texts can't be written at one place.
    """

    def __init__(self, tokenizer: Tokenizer, write: Callable[[str], object]):
        self.tokenizer, self.write = tokenizer, write
        self.tokens: list[int] = []
        self.written = 0

    def put(self, ids: Int[Tensor, "B T"] | Int[Tensor, " B"]) -> None:
        if len(ids) != 1:
            raise ValueError(f"only one text can be streamed, got {len(ids)} rows")
        self.tokens += ids.flatten().tolist()
        self._write_up_to(self.tokenizer.decode(self.tokens).rstrip("\N{REPLACEMENT CHARACTER}"))

    def end(self) -> None:
        self._write_up_to(self.tokenizer.decode(self.tokens))
        self.write("\n")

    def _write_up_to(self, text):
        self.write(text[self.written :])
        self.written = max(self.written, len(text))
