"""Closed forms of what a cache holds and moves in each pass of a generation, and in total: what `trace` counts."""

import itertools
from dataclasses import fields

from minigpt.config import Config
from minigpt.measure.forms.architecture import Architecture, architecture_of
from minigpt.measure.forms.caches import FORMS
from minigpt.measure.forms.forward_pass import ForwardPass, KVCost


def kv_costs(
    name: str,
    config: Config,
    prompt: int,
    new_tokens: int,
    *,
    itemsize: int,
    batch: int = 1,
    prefill_chunk_size: int | None = None,
    **options,
) -> list[KVCost]:
    """The cost of each pass of a generation through the named cache: the first is the prefill, or its first chunk, and
    each of the last new_tokens - 1 decodes a token.

    itemsize: bytes of a number. options: those of make_cache that change sizes (max_cache_len: by default just what is
    needed). Raises ValueError for a cache or an option without a closed form.
    """
    model = architecture_of(config)
    options = checked(name, model, options, prompt + new_tokens - 1)  # the last token is never fed
    form, steps = FORMS[name], without_cache(prompt, new_tokens)
    if form.keeps:
        most = form.largest_chunk(model, **options) if form.largest_chunk else prompt
        steps = with_cache(prompt, new_tokens, min(prefill_chunk_size or prompt, most, prompt))
    before = [0, *(past for past, _ in steps)]
    passes = [ForwardPass(model, itemsize, batch, steps[0][1], before[at], *step) for at, step in enumerate(steps)]
    return [form.cost(each, **options) for each in passes]


def kv_cost_of_decode(
    name: str, config: Config, tokens: int, *, itemsize: int, batch: int = 1, prompt: int = 1, **options
) -> KVCost:
    """The cost of decoding the last of so many tokens, after a prompt that was fed whole: the last entry of `kv_costs`,
    computed by itself. tokens: at least prompt + 2."""
    if tokens < prompt + 2:
        raise ValueError(f"after a prompt of {prompt} a decode step has {prompt + 2} tokens or more, got {tokens}")
    model = architecture_of(config)
    options = checked(name, model, options, tokens)
    past = tokens - 1 if FORMS[name].keeps else 0
    at = ForwardPass(model, itemsize, batch, prompt, max(past - 1, 0), past, tokens - past)
    return FORMS[name].cost(at, **options)


def total(costs: list[KVCost]) -> KVCost:
    """The cost of a whole generation: what is held at its end, and the sum of what was computed and moved."""
    at_the_end = ("slots", "useful", "nbytes", "resident")
    sums = {each.name: sum(getattr(cost, each.name) for cost in costs) for each in fields(KVCost)}
    return KVCost(**sums | {name: getattr(costs[-1], name) for name in at_the_end})


def with_cache(prompt: int, new_tokens: int, chunk: int) -> list[tuple[int, int]]:
    """(tokens held, tokens fed) of each pass: the prompt in chunks, then each new token but the last."""
    starts = [*range(0, prompt, chunk), *range(prompt, prompt + new_tokens)]
    return [(start, end - start) for start, end in itertools.pairwise(starts)]


def without_cache(prompt: int, new_tokens: int) -> list[tuple[int, int]]:
    """(tokens held, tokens fed) of each pass: none, and the whole text."""
    return [(0, end) for end in range(prompt, prompt + new_tokens)]


def checked(name: str, model: Architecture, options: dict, tokens: int) -> dict:
    """The options, checked. A cache with a max_cache_len has room for so many tokens, unless they say otherwise."""
    if name not in FORMS:
        where = "a new cache's closed form goes into minigpt/measure/forms/caches.py"
        raise ValueError(f"no cost is known of a cache named {name!r}; there are {', '.join(FORMS)}; {where}")
    known = FORMS[name].options
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"no form knows what {', '.join(unknown)} costs in {name}; it knows {', '.join(known)}")
    if FORMS[name].needs_window and not any(model.windows):
        raise ValueError("a ring wants a window: this config has none, and its model sees all tokens before")
    room = {"max_cache_len": tokens} if "max_cache_len" in known else {}
    return room | options
