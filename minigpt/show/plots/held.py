"""Bytes that each cache holds as tokens come."""

from dataclasses import dataclass

import torch

from minigpt.cache import CACHES, make_cache
from minigpt.config import GPTConfig
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn

GPT2 = {"vocab_size": 50257, "context": 1024, "n_layer": 12, "n_head": 12, "n_embd": 768}
CHUNK, WINDOW, SINKS = 16, 128, 4


@dataclass(frozen=True)
class Held:
    """tokens: fed so far, after each step. nbytes: then held by each cache; of an offloaded one, here and not below.
    needed: bytes of one token in all layers."""

    tokens: list[int]
    nbytes: dict[str, list[int]]
    needed: int


def held(sizes: dict = GPT2, chunk: int = CHUNK, dtype: torch.dtype = torch.float16) -> Held:
    """Of caches that are fed zeros until the context is full, chunk by chunk."""
    tokens, nbytes = range(chunk, sizes["context"] + 1, chunk), {}
    for name, kind in CACHES.items():
        if not kind.keeps:
            continue
        config = GPTConfig(**sizes, **({"window": WINDOW, "sinks": SINKS} if kind.needs_window else {}))
        cache, rows = make_cache(name, config, dtype=dtype), None
        rows = torch.zeros(1, chunk, config.n_kv_head, config.head_size, dtype=dtype)
        nbytes[name] = []
        for end in tokens:
            cache.admit(torch.arange(end - chunk, end)[None])
            for layer in range(config.n_layer):
                cache.update(rows, rows, layer)
            nbytes[name].append(cache.resident_nbytes if "offloaded" in name else cache.nbytes)
    return Held(list(tokens), nbytes, 2 * config.n_layer * rows[0, 0].nbytes)
