"""Generation: prefill, decode, streaming. Arguments are named and mean as in transformers' `generate`."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import KVCache
from minigpt.request import check_cache, is_count, new_cache, plan, stop_tokens
from minigpt.sampling import greedy, sampler


@torch.no_grad()
def generate(
    model,
    input_ids: Int[Tensor, "B T"],
    attention_mask: Tensor | None = None,
    max_new_tokens: int = 20,
    use_cache: bool = True,
    cache_implementation: str = "dynamic",
    cache_config: dict | None = None,
    max_cache_len: int | None = None,
    cache: KVCache | None = None,
    do_sample: bool = False,
    temperature: float = 1.0,
    top_k: int | None = 50,
    top_p: float = 1.0,
    eos_token_id: int | list[int] | None = None,
    pad_token_id: int | None = None,
    prefill_chunk_size: int | None = None,
    streamer=None,
    seed: int | None = None,
) -> Int[Tensor, "B N"]:
    """Go on from `input_ids`, a token at a time. Returns (B, T + new): the prompt, then what was generated.

    attention_mask: (B, T), 0 at left padding, 1 elsewhere. None: no padding.
    use_cache=False, or the name of a cache (see `make_cache`) with its options in cache_config;
        max_cache_len is the size of a static one (None: just what this call needs). cache_config may also set
        `window` and `sinks` for this call, as `with_window` does; the text still ends at the context.
    cache: a cache that an earlier call filled. input_ids is the whole text so far, of which the cache
        must hold a proper prefix.
    do_sample: draw, as temperature, top_k and top_p say, repeatably with a seed. Otherwise greedy.
    eos_token_id: a row that generates it is done, and is filled with pad_token_id (None: the first eos).
    prefill_chunk_size: feed the prompt in pieces of so many tokens.
    streamer: put(ids) is called with the prompt, then with the (B,) tokens of each step; end() at last.

    Raises ValueError or CacheError, before any work, for what can't be done.
    """
    options = dict(cache_config or {})
    if "window" in options:
        model = model.with_window(options.pop("window"), options.pop("sinks", 0))
    text, positions = plan(model, input_ids, attention_mask, max_new_tokens)
    B, T = input_ids.shape
    if cache is None:
        options |= {} if max_cache_len is None else {"max_cache_len": max_cache_len}
        cache = new_cache(model, B, text.shape[1] - 1, use_cache, cache_implementation, options)
    elif (use_cache, cache_implementation, cache_config, max_cache_len) != (True, "dynamic", None, None):
        raise ValueError("cache= is used as it is: leave out use_cache and the options of a new cache")
    check_cache(model, cache, input_ids, positions[:, :T], text.shape[1] - 1)
    if prefill_chunk_size is not None and (not is_count(prefill_chunk_size) or not cache.keeps):
        raise ValueError(
            f"prefill_chunk_size {prefill_chunk_size!r} must be 1 or more, with a cache that keeps the pieces"
        )
    if do_sample:
        pick = sampler(temperature, top_k, top_p, seed, model.device)
    elif (temperature, top_k, top_p, seed) == (1.0, 50, 1.0, None):
        pick = greedy
    else:
        raise ValueError("temperature, top_k, top_p and seed are for drawing: add do_sample=True")
    eos, pad = stop_tokens(model, eos_token_id, pad_token_id)

    if streamer is not None:
        streamer.put(input_ids.cpu())
    done = torch.zeros(B, dtype=torch.bool, device=text.device)
    with torch.inference_mode():
        for end in range(T, text.shape[1]):
            new = pick(next_logits(model, text, positions, end, cache, prefill_chunk_size))
            if eos is not None:
                new = new.masked_fill(done, pad)
                done = done | torch.isin(new, eos)
            text[:, end] = new
            if streamer is not None:
                streamer.put(new.cpu())
            if eos is not None and done.all():
                break
    if streamer is not None:
        streamer.end()
    return text[:, : end + 1]


def next_logits(
    model,
    text: Int[Tensor, "B N"],
    positions: Int[Tensor, "B N"],
    end: int,
    cache: KVCache,
    chunk_size: int | None = None,
) -> Float[Tensor, "B V"]:
    """Logits of the token after text[:, :end], in float32 (as in transformers: a tie there goes to the lowest id).

    Feeds what the cache does not hold yet: a prompt (prefill), one token (decode), or, without a cache,
    the whole text each time.
    """
    step = min(chunk_size or end, cache.largest_chunk or end)
    for start in range(cache.length, end, step):
        piece = slice(start, min(start + step, end))
        x = model.hidden(text[:, piece], positions[:, piece], cache)
    return model.lm_head(x[:, -1]).float()
