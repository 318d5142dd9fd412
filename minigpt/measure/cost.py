"""What it costs to generate, in closed forms: FLOPs by part, and the least time that a machine needs for them.

Each equals what is counted (`trace`), to the last FLOP. L layers, C wide, H query heads and K key/value heads of D
channels, an MLP of width M, V tokens of vocabulary. A multiplication and an addition are two FLOPs; biases, norms,
softmax and look-ups are left out, as in torch's counter.

Two conventions change the figures a good deal, so each is an argument:
attention: "dense", all scores of queries and slots, as a kernel that masks computes them; or "causal", only those of
    tokens that see each other, about half.
logits: "last", of the last token fed, which is all that generating needs; or "all", of every token fed.
"""

from dataclasses import dataclass, fields

from minigpt.config import GPTConfig

CONVENTIONS = {"attention": ("dense", "causal"), "logits": ("last", "all")}


@dataclass(frozen=True)
class Flops:
    """projections: from x to queries, keys and values, and back to x. attention: Q K^T, and its product with V.
    mlp: both layers of it. head: the logits."""

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


def flops(config: GPTConfig, tokens: int, pairs: int, logit_rows: int) -> Flops:
    """Of tokens fed, pairs of a query and a key that attention computes, and tokens whose logits are made.

    An (m, k) by (k, n) product is m n dot products of k multiplications and k additions: 2 m k n.
    """
    return Flops(
        projections=2 * tokens * projection_weights(config),
        attention=4 * config.n_layer * config.n_head * config.head_size * pairs,  # q k, then its weight times v
        mlp=2 * tokens * mlp_weights(config),
        head=2 * logit_rows * head_weights(config),
    )


def projection_weights(config: GPTConfig) -> int:
    """L (C (H + 2 K) D + C C): to queries, keys and values, and back. 4 L C^2 where K = H."""
    C = config.n_embd
    return config.n_layer * (C * (config.n_head + 2 * config.n_kv_head) * config.head_size + C * C)


def mlp_weights(config: GPTConfig) -> int:
    """2 L C M. 8 L C^2 where M = 4 C."""
    return 2 * config.n_layer * config.n_embd * config.n_inner


def head_weights(config: GPTConfig) -> int:
    return config.n_embd * config.vocab_size


def weights(config: GPTConfig) -> int:
    """All that are multiplied: 12 L C^2 + C V for GPT-2. Each is read once in a forward pass, however many tokens."""
    return projection_weights(config) + mlp_weights(config) + head_weights(config)


def seen_pairs(config: GPTConfig, tokens: int) -> int:
    """Pairs that see each other among the first `tokens` tokens.

    The one at p sees p + 1 tokens: 1 + 2 + ... in all. With a window and sinks it sees at most so many; what it loses
    beyond is 1 more for each later token: again 1 + 2 + ...
    """
    lost = 0 if config.window is None else max(0, tokens - config.window - config.sinks)
    return triangle(tokens) - triangle(lost)


def triangle(n: int) -> int:
    """1 + 2 + ... + n"""
    return n * (n + 1) // 2


def pyramid(n: int) -> int:
    """1 + 4 + ... + n^2"""
    return n * (n + 1) * (2 * n + 1) // 6


def tetrahedron(n: int) -> int:
    """triangle(1) + ... + triangle(n)"""
    return n * (n + 1) * (n + 2) // 6


def prefill_flops(
    config: GPTConfig,
    prompt: int,
    *,
    attention: str,
    logits: str,
    batch: int = 1,
    prefill_chunk_size: int | None = None,
    slots: int | None = None,
) -> Flops:
    """Of a prompt, fed whole or in chunks. slots: that attention is given at each chunk, where the cache has a fixed
    number of them (a ring); None: as many as there are tokens so far."""
    check(attention=attention, logits=logits)
    if attention == "causal":
        pairs = seen_pairs(config, prompt)
    elif slots is not None:
        pairs = prompt * slots
    else:  # n chunks of c over c, 2 c, ... slots, and the rest over all
        c = min(prefill_chunk_size or prompt, prompt)
        pairs = c * c * triangle(prompt // c) + prompt % c * prompt
    return flops(config, batch * prompt, batch * pairs, batch * {"last": 1, "all": prompt}[logits])


def decode_flops(config: GPTConfig, tokens: int, *, attention: str, batch: int = 1, slots: int | None = None) -> Flops:
    """Of one new token, the last of so many. GPT-2: 2 P + 4 L C tokens, for P weights. slots: see prefill_flops."""
    check(attention=attention)
    seen = seen_pairs(config, tokens) - seen_pairs(config, tokens - 1)
    pairs = seen if attention == "causal" else tokens if slots is None else slots
    return flops(config, batch, batch * pairs, batch)


def cached_flops(
    config: GPTConfig,
    prompt: int,
    new_tokens: int,
    *,
    attention: str,
    logits: str,
    batch: int = 1,
    prefill_chunk_size: int | None = None,
    slots: int | None = None,
) -> Flops:
    """Of a whole generation with a cache: a prefill makes the first new token, each decode step one more.

    Every token but the last is fed once, so projections and MLP are linear in the length, and attention quadratic.
    """
    ways = {"attention": attention, "batch": batch, "slots": slots}
    fed, steps = prompt + new_tokens - 1, new_tokens - 1
    seen = seen_pairs(config, fed) - seen_pairs(config, prompt)
    dense = triangle(fed) - triangle(prompt) if slots is None else steps * slots
    pairs = seen if attention == "causal" else dense
    decode = flops(config, batch * steps, batch * pairs, batch * steps)
    return prefill_flops(config, prompt, logits=logits, prefill_chunk_size=prefill_chunk_size, **ways) + decode


def uncached_flops(
    config: GPTConfig, prompt: int, new_tokens: int, *, attention: str, logits: str, batch: int = 1
) -> Flops:
    """Of a whole generation without a cache: each step is fed the whole text, from `prompt` to `fed` tokens.

    So projections and MLP are quadratic in the length, and attention cubic: a sum of squares; or, of what is seen, a
    sum of triangles.
    """
    check(attention=attention, logits=logits)
    fed, before = prompt + new_tokens - 1, prompt - 1
    tokens = triangle(fed) - triangle(before)
    pairs = pyramid(fed) - pyramid(before)
    if attention == "causal":
        view = fed if config.window is None else config.window + config.sinks
        lost = tetrahedron(max(0, fed - view)) - tetrahedron(max(0, before - view))
        pairs = tetrahedron(fed) - tetrahedron(before) - lost
    return flops(config, batch * tokens, batch * pairs, batch * {"last": new_tokens, "all": tokens}[logits])


def check(**conventions: str) -> None:
    for name, value in conventions.items():
        if value not in CONVENTIONS[name]:
            raise ValueError(f"{name} must be {' or '.join(map(repr, CONVENTIONS[name]))}, got {value!r}")
