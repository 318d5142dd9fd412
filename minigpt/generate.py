"""Generation: prefill, decode, streaming. Arguments are named and mean as in transformers' `generate`."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import CacheError, CacheFull, KVCache, cache_options, make_cache
from minigpt.cache.book import UNKNOWN
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


def plan(model, input_ids, attention_mask, max_new_tokens):
    """The prompt with room for what comes (B, T + new), and the position of each, NEVER at left padding."""
    if (
        not isinstance(input_ids, Tensor)
        or input_ids.ndim != 2
        or input_ids.dtype != torch.int64
        or not input_ids.numel()
    ):
        raise ValueError(
            "input_ids must be an int64 tensor of shape (B, T) with at least one token, got "
            + (f"{input_ids.dtype} {tuple(input_ids.shape)}" if isinstance(input_ids, Tensor) else repr(input_ids))
        )
    if input_ids.device != model.device:
        raise ValueError(f"input_ids are on {input_ids.device}, the model is on {model.device}: move one of them")
    low, high = input_ids.aminmax()
    if low < 0 or high >= model.config.vocab_size:
        raise ValueError(f"input_ids must lie in 0 ... {model.config.vocab_size - 1}, got {int(low)} ... {int(high)}")
    if not is_count(max_new_tokens):
        raise ValueError(f"max_new_tokens must be a whole number, 1 or more, got {max_new_tokens!r}")
    mask = torch.ones_like(input_ids) if attention_mask is None else torch.as_tensor(attention_mask)
    if mask.shape != input_ids.shape or ((mask != 0) & (mask != 1)).any():
        raise ValueError(
            f"attention_mask must be 0 or 1, of the shape of input_ids {tuple(input_ids.shape)}, "
            f"got shape {tuple(mask.shape)}"
        )
    mask = mask.to(input_ids)
    if (mask.diff(dim=1) < 0).any() or not mask[:, -1].all():
        raise ValueError("attention_mask has padding on the right, or an empty row: pad on the left")

    counts = torch.cat([mask, mask.new_ones(len(mask), max_new_tokens)], dim=1).cumsum(1)
    longest = int(counts[:, -1].max()) - 1  # the last token is never fed
    if longest > model.config.context:
        raise ValueError(
            f"{longest + 1 - max_new_tokens} prompt tokens and {max_new_tokens} new ones end at position {longest}, "
            f"but the context is {model.config.context}: max_new_tokens can be "
            f"{max(0, max_new_tokens + model.config.context - longest)} at most"
        )
    positions = (counts - 1).masked_fill(counts == 0, NEVER)
    text = torch.cat([input_ids, input_ids.new_zeros(len(input_ids), max_new_tokens)], dim=1)
    return text, positions


def new_cache(model, batch_size, slots, use_cache, name, options):
    if not use_cache:
        if name != "dynamic" or options:
            raise ValueError("use_cache=False leaves no cache for cache_implementation and its options")
        name = "none"
    sizes = {"batch_size": batch_size, "dtype": model.dtype, "device": model.device, "max_cache_len": slots}
    known = {option: size for option, size in sizes.items() if option in cache_options(name)}
    return make_cache(name, model.config, **(known | options))


def check_cache(model, cache, input_ids, positions, slots):
    """The cache must serve this model, have room, and hold a proper prefix of the text, or nothing."""
    cache.serve(model, len(input_ids))
    if cache.capacity is not None and slots > cache.capacity:
        raise CacheFull(f"needs {slots} slots (the last token takes none), has {cache.capacity}: raise max_cache_len")
    if not cache.length:
        return
    held = cache.length
    if held >= input_ids.shape[1]:
        raise CacheError(
            f"the cache holds {held} tokens, input_ids only {input_ids.shape[1]}: give the whole text so far, "
            "with at least one token that the cache has not seen, or take tokens back with crop(-n)"
        )
    if not torch.equal(cache.positions, positions[:, :held]):
        raise CacheError("the cache was filled with other left padding than attention_mask says")
    if (cache.ids == UNKNOWN).any():
        raise CacheError("the cache was filled by admit without ids, so its text can't be checked against input_ids")
    differs = (cache.ids != input_ids[:, :held]) & (cache.positions != NEVER)
    if differs.any():
        row, column = differs.nonzero()[0].tolist()
        raise CacheError(
            f"the cache holds another text: row {row}, token {column} is {int(cache.ids[row, column])} in the cache "
            f"and {int(input_ids[row, column])} in input_ids; reset() it, or crop(-n) to what they share"
        )


def stop_tokens(model, eos_token_id, pad_token_id):
    """The ids that end a row, as a tensor or None, and the id that fills it afterwards."""
    eos = eos_token_id if isinstance(eos_token_id, list) else [] if eos_token_id is None else [eos_token_id]
    for token in eos + ([] if pad_token_id is None else [pad_token_id]):
        if not isinstance(token, int) or not 0 <= token < model.config.vocab_size:
            raise ValueError(f"eos_token_id and pad_token_id must be ids of the vocabulary, got {token!r}")
    pad = pad_token_id if pad_token_id is not None else eos[0] if eos else None
    return (torch.tensor(eos, device=model.device) if eos else None), pad


def is_count(number) -> bool:
    return isinstance(number, int) and number >= 1
