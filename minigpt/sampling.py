"""How the next token is picked from its logits: greedy, or drawn."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

FLOAT32 = torch.finfo(torch.float32)  # in which logits are divided


def greedy(logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
    """The likeliest token; of several, the one with the lowest id."""
    return logits.argmax(-1)


def sampler(
    temperature: float | None, top_k: int | None, top_p: float | None, seed: int | None, device
) -> Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]]:
    """Draws from softmax(logits / temperature), cut down to the top_k likeliest, then to the nucleus of top_p. None of
    one of them leaves out its step.

    seed: of a generator of its own (None: torch's global one). Raises ValueError for settings that leave no token.
    """
    temperature, top_p = 1.0 if temperature is None else temperature, 1.0 if top_p is None else top_p
    if not is_number(temperature) or not FLOAT32.tiny <= temperature <= FLOAT32.max:
        raise ValueError(
            f"temperature must be above 0, got {temperature!r}: for the likeliest token use do_sample=False"
        )
    if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 0):
        raise ValueError(f"top_k must be 1 or more, or 0 or None for all tokens, got {top_k!r}")
    if not is_number(top_p) or not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], got {top_p!r}")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not -(2**63) <= seed < 2**64):
        raise ValueError(f"seed must be a whole number of at most 64 bits, or None, got {seed!r}")
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)

    def draw(logits):
        logits = logits - logits.amax(-1, keepdim=True)  # the same odds, and no overflow at a low temperature
        logits = keep_top_p(keep_top_k(logits / temperature, top_k), top_p)
        return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]

    return draw


class Finishing:
    """Picks tokens until a row has generated one of `eos` (there may be none), then fills it with `pad`."""

    def __init__(self, pick: Callable[[Tensor], Tensor], eos: Int[Tensor, " n"], pad: int | None):
        self.pick, self.eos, self.pad = pick, eos, 0 if pad is None else pad  # without an eos nothing is filled
        self.done: Tensor | None = None

    def __call__(self, logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
        new = self.pick(logits)
        if not len(self.eos):
            return new
        if self.done is not None:
            new = new.masked_fill(self.done, self.pad)
        ends = torch.isin(new, self.eos)
        self.done = ends if self.done is None else self.done | ends
        return new

    @property
    def all_done(self) -> bool:
        return self.done is not None and bool(self.done.all())


def keep_top_k(logits: Float[Tensor, "B V"], top_k: int | None) -> Float[Tensor, "B V"]:
    """All logits but the top_k highest become -inf; those equal to the lowest of these stay. 0 or None: all stay."""
    if not top_k or top_k >= logits.shape[-1]:
        return logits
    lowest = logits.topk(top_k).values[:, -1:]
    return logits.masked_fill(logits < lowest, -math.inf)


def keep_top_p(logits: Float[Tensor, "B V"], top_p: float) -> Float[Tensor, "B V"]:
    """All logits but the nucleus' become -inf: the fewest tokens that reach top_p (arXiv 1904.09751, section 3.1)."""
    if top_p == 1:
        return logits
    ascending, order = logits.sort(-1)
    tail = ascending.softmax(-1).cumsum(-1)  # the probability of a token and all less likely ones
    cut = tail <= 1 - top_p
    cut[:, -1] = False  # the likeliest token stays
    return logits.masked_fill(cut.scatter(-1, order, cut), -math.inf)


def is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
