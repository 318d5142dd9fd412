"""Generation: prefill, decode, streaming. Arguments are named and mean as in transformers' `generate`."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.arguments import plan, repeated
from minigpt.beams import Beams
from minigpt.cache import KVCache
from minigpt.cache_arguments import cache_for, check_cache, check_chunk_size, compiled_step, with_its_window
from minigpt.from_transformers import speaks_transformers
from minigpt.picking import Stopping, check_beams, check_streamer, picker, searching, stop_tokens
from minigpt.sampling import Finishing

PREFILL = 1024  # tokens of a prompt that are fed at once, unless told otherwise: attention's mask has a row for each


class Generation:
    """What makes a model generate."""

    @speaks_transformers
    @torch.no_grad()
    def generate(
        self,
        input_ids: Int[Tensor, "B T"],
        attention_mask: Tensor | None = None,
        max_new_tokens: int | None = 20,
        use_cache: bool | None = True,
        cache_implementation: str | None = "dynamic",
        cache_config: dict[str, Any] | None = None,
        max_cache_len: int | None = None,
        cache: KVCache | None = None,
        do_sample: bool | None = False,
        temperature: float | None = 1.0,
        top_k: int | None = 50,
        top_p: float | None = 1.0,
        num_beams: int | None = 1,
        num_return_sequences: int | None = 1,
        length_penalty: float | None = 1.0,
        early_stopping: Stopping | None = False,
        eos_token_id: int | list[int] | None = None,
        pad_token_id: int | None = None,
        prefill_chunk_size: int | None = None,
        streamer: Any = None,
        seed: int | None = None,
        compile: bool = False,
    ) -> Int[Tensor, "R N"]:
        """Go on from `input_ids`, a token at a time. Returns (R, T + new), the prompt, then what was
        generated; fewer if every row has reached eos. R = B * num_return_sequences.

        attention_mask: (B, T), 0 at left padding, 1 elsewhere. None: no padding.
        use_cache=False, or the name of a cache (see `make_cache`) with its options in cache_config;
            max_cache_len is the size of a static one (None: just what this call needs). cache_config may also set
            `window`, `sinks` and `streaming` for this call, as `with_window` does.
        cache: an empty cache, or one that an earlier call filled. input_ids is the whole text so far, of
            which the cache must hold a proper prefix.
        do_sample: draw, as temperature, top_k and top_p say, repeatably with a seed. Otherwise greedy.
        num_beams: more than 1: beam search, with length_penalty and early_stopping (see `Beams`).
        num_return_sequences: how many texts each row gives, side by side: drawn, or the best of its beams. A cache that
            was handed in has a row for each of them afterwards. After beams it has one for each beam, and can't go on
            with the text returned, since nothing says which beams gave it: hand in a copy.
        eos_token_id: a row that generates it is done, and is filled with pad_token_id (None: the first eos). None: no
            token ends a row (transformers takes the one of the model's files).
        prefill_chunk_size: feed the prompt in pieces of so many tokens (None: of 1,024).
        streamer: put(ids) is called with the prompt, then with the (B,) tokens of each step; end() at last.
        compile: decode by one graph, for a cache whose shapes stand still (see `CompiledStep`). The first call of a
            process takes seconds.

        Raises ValueError or CacheError, before any work, for what can't be done.
        """

        model, options = with_its_window(self, cache_config)
        text, positions = plan(model, input_ids, attention_mask, max_new_tokens)
        prompt, slots = input_ids.shape[1], text.shape[1] - 1  # the last token is never fed
        cache = cache_for(model, cache, len(text), slots, use_cache, cache_implementation, options, max_cache_len)
        check_cache(model, cache, input_ids, positions, slots)
        check_chunk_size(prefill_chunk_size, cache)
        check_streamer(streamer)
        eos, pad = stop_tokens(model, eos_token_id, pad_token_id)
        search = searching(num_beams, num_return_sequences, length_penalty, early_stopping, do_sample)
        if search.beams > 1:
            check_beams(search, text.shape[1] - prompt, eos, model.config.vocab_size, streamer)
        draw = picker(search.beams, do_sample, temperature, top_k, top_p, seed, model.device)
        follow = compiled_step(model, cache) if compile else None
        text, positions = repeated(max(search.beams, search.texts), text, positions, cache)
        beams = Beams(text, prompt, cache, eos, search) if search.beams > 1 else None
        pick = beams or Finishing(draw, eos, pad)

        if streamer is not None:
            streamer.put(text[:, :prompt].cpu())
        end = prompt
        with torch.inference_mode():
            for new, _ in steps(model, text, positions, prompt, cache, pick, prefill_chunk_size, follow):
                end += 1
                if streamer is not None:
                    streamer.put(new.cpu())
                if pick.all_done:
                    break
        if streamer is not None:
            streamer.end()
        return beams.best(pad) if beams else text[:, :end]


def steps(
    model,
    text: Int[Tensor, "B N"],
    positions: Int[Tensor, "B N"] | None,
    prompt: int,
    cache: KVCache,
    pick: Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]],
    chunk_size: int | None = None,
    follow: Callable | None = None,
) -> Iterator[tuple[Int[Tensor, " B"], Float[Tensor, "B V"]]]:
    """The one loop of generation: after each step, the new tokens and the logits that they were picked from.

    text: `prompt` tokens, then room for new ones, which is filled. positions: of all of it (None: 0, 1, 2, ...).
    """
    for end in range(prompt, text.shape[1]):
        logits = (follow or next_logits)(model, text[:, :end], positions, cache, chunk_size)
        text[:, end] = new = pick(logits)
        yield new, logits


def next_logits(
    model,
    text: Int[Tensor, "B n"],
    positions: Int[Tensor, "B N"] | None,
    cache: KVCache,
    chunk_size: int | None = None,
) -> Float[Tensor, "B V"]:
    """Logits of the token after the text, in float32 (as in transformers: a tie there goes to the lowest id).

    Feeds what the cache does not hold yet: a prompt (prefill), one token (decode), or, where nothing is kept,
    the whole text each time.
    """
    for start, end in chunks(cache, text.shape[1], chunk_size):
        x = model.hidden(text[:, start:end], None if positions is None else positions[:, start:end], cache)
    return model.lm_head(x[:, -1]).float()


def chunks(cache: KVCache, end: int, chunk_size: int | None = None) -> list[tuple[int, int]]:
    """The pieces (start, end) of the first `end` tokens that the cache still lacks."""
    if not cache.keeps:
        return [(0, end)]
    step = min(chunk_size or PREFILL, cache.largest_chunk or end)
    return [(start, min(start + step, end)) for start in range(cache.length, end, step)]
