"""The sizes of a GPT, checked once."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """The sizes of a GPT, and the rule of who sees whom.

    vocab_size: number of different tokens.
    context: number of learned positions; the most tokens that the model can read.
    n_layer, n_head, n_embd: blocks, query heads a block, and width.
    n_kv_head: key/value heads (None: n_head, plain multi-head attention). Fewer is grouped-query
        attention (Ainslie et al., arXiv 2305.13245): n_head / n_kv_head query heads share one key head.
    window: a token sees itself and the window - 1 tokens before it (None: all before it).
    sinks: the first few tokens, which everyone keeps seeing beside the window (Xiao et al.,
        arXiv 2309.17453, section 3).
    n_inner: width of the MLP (None: 4 x n_embd). layer_norm_epsilon: as in GPT-2.

    Raises ValueError when the sizes don't fit together.
    """

    vocab_size: int
    context: int
    n_layer: int
    n_head: int
    n_kv_head: int | None = None
    n_embd: int
    window: int | None = None
    sinks: int = 0
    n_inner: int | None = None
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self):
        # A frozen dataclass lets its constructor fill in what was left open.
        if self.n_kv_head is None:
            object.__setattr__(self, "n_kv_head", self.n_head)
        if self.n_inner is None:
            object.__setattr__(self, "n_inner", 4 * self.n_embd)
        for name in ("vocab_size", "context", "n_layer", "n_head", "n_kv_head", "n_embd", "n_inner"):
            _check_count(name, getattr(self, name), least=1)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} can't be split into n_head {self.n_head} heads of equal size")
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head {self.n_head} must be a multiple of n_kv_head {self.n_kv_head}")
        _check_count("sinks", self.sinks, least=0)
        if self.window is not None:
            _check_count("window", self.window, least=1)
        elif self.sinks:
            raise ValueError(f"sinks {self.sinks} without a window: full attention already sees the first tokens")
        if not isinstance(self.layer_norm_epsilon, int | float) or not self.layer_norm_epsilon > 0:
            raise ValueError(f"layer_norm_epsilon must be a positive number, got {self.layer_norm_epsilon!r}")

    @property
    def head_size(self) -> int:
        return self.n_embd // self.n_head


def _check_count(name, value, least):
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, got {value!r}")
