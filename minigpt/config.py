"""The sizes of a model, checked once."""

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

LARGEST = 2**31 - 2  # of a size: positions beyond are taken (attention.NEVER)
LeftOpen = int | Any  # may be given as None, and is a number from then on


@dataclass(frozen=True, kw_only=True)
class Config:
    """What caches and costs ask of any model: its sizes, and the rule of who sees whom.

    vocab_size: number of different tokens.
    context: number of positions; the most tokens that the model can read.
    n_layer, n_head, n_embd: blocks, query heads a block, and width.
    n_kv_head: key/value heads (None: n_head, plain multi-head attention). Fewer is grouped-query
        attention (Ainslie et al., arXiv 2305.13245): n_head / n_kv_head query heads share one key head.
    head_size: channels of a head (None: n_embd / n_head).
    window: a token sees itself and the window - 1 tokens before it (None: all before it). A list gives each
        layer its own (a hybrid model, as Gemma's; arXiv 2408.00118, section 2).
    sinks: the first few tokens, which everyone keeps seeing beside the window (Xiao et al.,
        arXiv 2309.17453, section 3).
    streaming: positions are counted among the tokens that are seen (section 3.2): the sinks stand right before the
        window, however far the text has gone on. So it may be longer than the context.
    n_inner: width of the MLP.

    Raises ValueError when the sizes don't fit together.
    """

    vocab_size: int
    context: int
    n_layer: int
    n_head: int
    n_kv_head: LeftOpen = None
    n_embd: int
    head_size: LeftOpen = None
    window: int | list | tuple | None = None
    sinks: int = 0
    streaming: bool | Any = False  # Any, so that sizes may be in a dict[str, int]
    n_inner: LeftOpen = None
    mlp_products: ClassVar[int]  # matrices of n_embd x n_inner in a block's MLP

    def __post_init__(self):
        self._fill("n_kv_head", self.n_head)
        for name in ("vocab_size", "context", "n_layer", "n_head", "n_kv_head", "n_embd", "n_inner"):
            whole_number(name, getattr(self, name), least=1)
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head {self.n_head} must be a multiple of n_kv_head {self.n_kv_head}")
        if self.head_size is None and self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} can't be split into n_head {self.n_head} heads of equal size")
        self._fill("head_size", self.n_embd // self.n_head)
        whole_number("head_size", self.head_size, least=1)
        self._check_windows()

    def _fill(self, name: str, value) -> None:
        """What was left open: only here may a frozen dataclass be changed."""
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)

    def _check_windows(self):
        if isinstance(self.window, list | tuple):
            if len(self.window) != self.n_layer:
                raise ValueError(f"window must be one number, or one for each of {self.n_layer} layers: {self.window}")
            alike = len(set(self.window)) == 1
            object.__setattr__(self, "window", self.window[0] if alike else tuple(self.window))
        for window in set(self.windows) - {None}:
            whole_number("window", window, least=1)
        whole_number("sinks", self.sinks, least=0)
        if self.sinks and self.window is None:
            raise ValueError(f"sinks {self.sinks} without a window: full attention already sees the first tokens")
        if not isinstance(self.streaming, bool):
            raise ValueError(f"streaming must be True or False, got {self.streaming!r}")
        if self.streaming:
            self._check_streaming()

    def _check_streaming(self):
        if not isinstance(self.window, int):
            raise ValueError(f"streaming wants one window for all layers, to count positions in, got {self.window}")
        if self.window + self.sinks > self.context:
            raise ValueError(
                f"streaming counts positions among the {self.window} tokens of the window and {self.sinks} sinks, and "
                f"the context is {self.context}: {self.window + self.sinks - self.context} fewer"
            )

    @property
    def windows(self) -> tuple:
        """How many tokens each layer sees, None where all."""
        return self.window if isinstance(self.window, tuple) else (self.window,) * self.n_layer

    @property
    def longest(self) -> int:
        """Tokens that a text can have, padding not counted."""
        return LARGEST if self.streaming else self.context


@dataclass(frozen=True, kw_only=True)
class GPTConfig(Config):
    """The sizes of a GPT: those of every `Config`, and

    n_inner: width of the MLP (None: 4 x n_embd). layer_norm_epsilon: as in GPT-2.

    Raises ValueError when the sizes don't fit together.
    """

    layer_norm_epsilon: float = 1e-5
    mlp_products = 2

    def __post_init__(self):
        whole_number("n_embd", self.n_embd, least=1)
        self._fill("n_inner", 4 * self.n_embd)
        super().__post_init__()
        positive("layer_norm_epsilon", self.layer_norm_epsilon)

    def _check_streaming(self):
        raise ValueError(
            "streaming wants rotary positions, as a Llama's: a GPT adds learned ones to its tokens, and their keys "
            "can't be moved to another place"
        )


def whole_number(name: str, value, least: int) -> int:
    """The value, if it is one that a size can have. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, got {value!r}")
    if value > LARGEST:
        raise ValueError(f"{name} must be {LARGEST} at most, got {value}")
    return value


def positive(name: str, value) -> None:
    """Raises ValueError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= sys.float_info.max:
        raise ValueError(f"{name} must be a positive number, got {value!r}")
