"""What a cache holds and moves in each pass of a generation, and in all of it, in closed form: what `trace` counts."""

import inspect
import itertools
from dataclasses import fields

from minigpt.config import GPTConfig
from minigpt.measure.kv_forms import FORMS, Fed, KVCost, ring_chunk


def kv_costs(
    name: str,
    config: GPTConfig,
    prompt: int,
    new_tokens: int,
    *,
    itemsize: int,
    batch: int = 1,
    prefill_chunk_size: int | None = None,
    **options,
) -> list[KVCost]:
    """Of each pass of a generation through the named cache: the first is the prefill, or its first chunk, and each of
    the last new_tokens - 1 decodes a token. itemsize: bytes of a number. options: those of make_cache that change sizes
    (max_cache_len: just what is needed, unless told). Raises ValueError for a cache or an option without a form."""
    options = checked(name, config, options)
    if "max_cache_len" in known_options(name):
        options.setdefault("max_cache_len", prompt + new_tokens - 1)  # the last token is never fed
    steps = without_cache(prompt, new_tokens)
    if name != "none":
        most = ring_chunk(config, **options) if name == "sliding_window" else prompt
        steps = with_cache(prompt, new_tokens, min(prefill_chunk_size or prompt, most, prompt))
    before = [0, *(past for past, _ in steps)]
    feds = [Fed(config, itemsize, batch, steps[0][1], before[at], *step) for at, step in enumerate(steps)]
    return [FORMS[name](at, **options) for at in feds]


def kv_cost_of_decode(
    name: str, config: GPTConfig, tokens: int, *, itemsize: int, batch: int = 1, prompt: int = 1, **options
) -> KVCost:
    """Of decoding the last of so many tokens, after a prompt that was fed whole: as the last of `kv_costs`, without the
    way there. tokens: at least prompt + 2."""
    if tokens < prompt + 2:
        raise ValueError(f"after a prompt of {prompt}, a decode step like all others has {prompt + 2} tokens or more")
    options = checked(name, config, options)
    if "max_cache_len" in known_options(name):
        options.setdefault("max_cache_len", tokens)
    past = 0 if name == "none" else tokens - 1
    return FORMS[name](Fed(config, itemsize, batch, prompt, max(past - 1, 0), past, tokens - past), **options)


def total(costs: list[KVCost]) -> KVCost:
    """Of a generation: what is held at its end, and all that was computed and moved."""
    at_the_end = ("slots", "useful", "nbytes", "resident")
    sums = {each.name: sum(getattr(cost, each.name) for cost in costs) for each in fields(KVCost)}
    return KVCost(**sums | {name: getattr(costs[-1], name) for name in at_the_end})


def with_cache(prompt: int, new_tokens: int, chunk: int) -> list[tuple[int, int]]:
    """Of each pass the tokens held and fed: the prompt in chunks, then each new token but the last."""
    starts = [*range(0, prompt, chunk), *range(prompt, prompt + new_tokens)]
    return [(start, end - start) for start, end in itertools.pairwise(starts)]


def without_cache(prompt: int, new_tokens: int) -> list[tuple[int, int]]:
    """Each pass is fed the whole text."""
    return [(0, end) for end in range(prompt, prompt + new_tokens)]


def checked(name: str, config: GPTConfig, options: dict) -> dict:
    if name not in FORMS:
        raise ValueError(f"no cost is known of a cache named {name!r}; there are {', '.join(FORMS)}")
    if unknown := sorted(set(options) - set(known := known_options(name))):
        raise ValueError(f"no form knows what {', '.join(unknown)} costs in {name}; it knows {', '.join(known)}")
    if name == "sliding_window" and config.window is None:
        raise ValueError("a ring wants a window: this config has none, and its model sees all tokens before")
    return dict(options)


def known_options(name: str) -> list[str]:
    return list(inspect.signature(FORMS[name]).parameters)[1:]
