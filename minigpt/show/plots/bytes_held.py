"""Bytes that each cache holds as tokens come."""

from dataclasses import dataclass

import torch

from minigpt.cache import CACHES, make_cache
from minigpt.config import GPTConfig
from minigpt.measure.forms.real_models import GPT2
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed, mb

WINDOW, SINKS, NBITS = 256, 4, 4


@dataclass(frozen=True)
class Held:
    """tokens: fed so far, after each step. nbytes: held by each cache at that point, in fast memory. needed: bytes of
    all tokens' keys and values. window, nbits: of the sliding window, and of the quantized cache."""

    tokens: list[int]
    nbytes: dict[str, list[int]]
    needed: int
    window: int
    nbits: int


def held(tokens: int = 1000, chunk: int = 40) -> Held:
    """What each cache for GPT-2 124M in bfloat16 holds when it is fed zeros, chunk by chunk."""
    ends, nbytes = range(chunk, tokens + 1, chunk), {}
    options = {"sliding_window": {"chunk": chunk}, "quantized": {"nbits": NBITS}}
    for name, kind in CACHES.items():
        if not kind.keeps:
            continue
        config = GPTConfig(**GPT2, **({"window": WINDOW, "sinks": SINKS} if kind.needs_window else {}))
        cache = make_cache(name, config, dtype=torch.bfloat16, **options.get(name, {}))
        rows = torch.zeros(1, chunk, config.n_kv_head, config.head_size, dtype=torch.bfloat16)
        nbytes[name] = []
        for end in ends:
            cache.admit(torch.arange(end - chunk, end)[None])
            for layer in range(config.n_layer):
                cache.update(rows, rows, layer)
            nbytes[name].append(cache.resident_nbytes)
    return Held(list(ends), nbytes, 2 * config.n_layer * rows.nbytes * len(ends), WINDOW, NBITS)


@drawn
def bytes_held(held: Held, theme: Theme) -> Picture:
    """A line for each cache: megabytes held against tokens, labelled at its end."""
    last, tokens = {name: nbytes[-1] for name, nbytes in held.nbytes.items()}, held.tokens[-1]
    window, rounded, offloaded = (mb(last[name]) for name in ("sliding_window", "quantized", "offloaded"))
    picture = Picture(
        f"{tokens:,} tokens of GPT-2 need {mb(held.needed)} MB: a window of {held.window} holds\n"
        f"{window}, {held.nbits} bits {rounded}, and offloading keeps {offloaded} here",
        listed(
            f"Lines of megabytes held in fast memory against tokens: at {tokens} tokens, which need {mb(held.needed)},",
            (f"{name} holds {mb(nbytes)}" for name, nbytes in last.items()),
        ),
        theme,
    )
    (panel,) = picture.panels()
    for name, nbytes in held.nbytes.items():
        panel.plot(held.tokens, [each / 1e6 for each in nbytes], markevery=4, clip_on=False, **theme.look(name))
    panel.set(xlabel="tokens", ylabel="megabytes in fast memory", xlim=(0, tokens), ylim=(0, None))
    panel.grid(axis="y")
    ends = [(tokens, nbytes / 1e6, f"{name} {mb(nbytes)}", name) for name, nbytes in last.items()]
    label_ends(panel, [(*end, theme.look(name)["color"]) for *end, name in ends])
    return picture
