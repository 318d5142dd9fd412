"""Closed forms of the FLOPs of generating, by part. Each equals what `counted.trace` counts, to the last FLOP.

L layers, C wide, H query heads and K key/value heads of D channels, an MLP of width M, V tokens of vocabulary. A
multiplication and an addition are two FLOPs; biases, norms, softmax and look-ups are left out, as in torch's counter.

Two conventions change the figures a good deal, so each is an argument:
attention: "dense", a score for every query and slot, as a kernel computes that masks some of them; or "causal", only
    for those that see each other, about half.
logits: "last", for the last token fed, which is all that generating needs; or "all", for every token fed.
"""

from dataclasses import dataclass, fields

from minigpt.config import Config
from minigpt.measure.forms.pairs import Slots, prompt_pairs, seen_pairs, seen_pairs_again, step_pairs, text_pairs
from minigpt.measure.forms.sums import triangle
from minigpt.measure.forms.weights import head_weights, mlp_weights, projection_weights

CONVENTIONS = {"attention": ("dense", "causal"), "logits": ("last", "all")}


@dataclass(frozen=True)
class Flops:
    """projections: from x to queries, keys and values, and back to x. attention: Q K^T, and its product with V.
    mlp: its two layers. head: the logits."""

    projections: int = 0
    attention: int = 0
    mlp: int = 0
    head: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def __sub__(self, other: "Flops") -> "Flops":
        return Flops(*(getattr(self, part.name) - getattr(other, part.name) for part in fields(self)))


def flops(config: Config, tokens: int, pairs: int, logit_rows: int) -> Flops:
    """FLOPs of feeding so many tokens.

    pairs: of a query and a key, as attention computes them, over all layers for one head. logit_rows: tokens whose
    logits are computed.

    An (m, k) by (k, n) product is m n dot products of k multiplications and k additions: 2 m k n.
    """
    if config.streaming:
        raise ValueError(
            "no closed form says the FLOPs of streaming: its attention is twice as wide, but not in a step that is "
            "known to see every slot, and which steps these are depends on the cache (counted.trace counts them)"
        )
    return Flops(
        projections=2 * tokens * projection_weights(config),
        attention=4 * config.n_head * config.head_size * pairs,  # q k, then its weight times v
        mlp=2 * tokens * mlp_weights(config),
        head=2 * logit_rows * head_weights(config),
    )


def prefill_flops(
    config: Config,
    prompt: int,
    *,
    attention: str,
    logits: str,
    batch: int = 1,
    prefill_chunk_size: int | None = None,
    slots: Slots = None,
) -> Flops:
    """FLOPs of a prompt, fed whole or in chunks.

    slots: how many attention is given at each chunk, if the cache has a fixed number (a static one, a ring): an int
        for all layers, or a tuple with one entry a layer. None: as many as tokens so far.
    """
    check(attention=attention, logits=logits)
    dense = prompt_pairs(config, prompt, prefill_chunk_size or prompt, slots)
    pairs = seen_pairs(config, prompt) if attention == "causal" else dense
    return flops(config, batch * prompt, batch * pairs, batch * {"last": 1, "all": prompt}[logits])


def decode_flops(
    config: Config, tokens: int, *, attention: str, batch: int = 1, slots: Slots = None, steps: int = 1
) -> Flops:
    """FLOPs of decoding the last `steps` of so many tokens, one by one. GPT-2, one step: 2 P + 4 L C x tokens, for P
    weights. slots: see prefill_flops."""
    check(attention=attention)
    seen = seen_pairs(config, tokens) - seen_pairs(config, tokens - steps)
    pairs = seen if attention == "causal" else step_pairs(config, tokens, steps, slots)
    return flops(config, batch * steps, batch * pairs, batch * steps)


def cached_flops(
    config: Config, prompt: int, new_tokens: int, *, logits: str, prefill_chunk_size: int | None = None, **ways
) -> Flops:
    """FLOPs of a whole generation with a cache: a prefill makes the first new token, each decode step one more.

    Every token but the last is fed once, so projections and MLP are linear in the length, and attention quadratic.
    ways: attention, batch and slots, as prefill_flops takes them.
    """
    fed, steps = prompt + new_tokens - 1, new_tokens - 1
    decode = decode_flops(config, fed, steps=steps, **ways)
    return prefill_flops(config, prompt, logits=logits, prefill_chunk_size=prefill_chunk_size, **ways) + decode


def uncached_flops(
    config: Config, prompt: int, new_tokens: int, *, attention: str, logits: str, batch: int = 1
) -> Flops:
    """FLOPs of a whole generation without a cache: each step is fed the whole text, from `prompt` to `fed` tokens.

    So projections and MLP are quadratic in the length, and attention is cubic: a sum of squares (dense) or of
    triangles (causal).
    """
    check(attention=attention, logits=logits)
    fed, before = prompt + new_tokens - 1, prompt - 1
    tokens = triangle(fed) - triangle(before)
    count = seen_pairs_again if attention == "causal" else text_pairs
    pairs = count(config, fed) - count(config, before)
    return flops(config, batch * tokens, batch * pairs, batch * {"last": new_tokens, "all": tokens}[logits])


def check(**conventions: str) -> None:
    for name, value in conventions.items():
        if value not in CONVENTIONS[name]:
            raise ValueError(f"{name} must be {' or '.join(map(repr, CONVENTIONS[name]))}, got {value!r}")
