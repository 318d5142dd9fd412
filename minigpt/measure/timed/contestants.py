"""Who takes part: our caches, eager or compiled. Each must generate what its uncached model would."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.cache import CACHES, NoCache
from minigpt.cache_arguments import new_cache
from minigpt.language_model import LanguageModel
from minigpt.measure.counted.run import served_by

Generate = Callable[..., Int[Tensor, "B N"]]  # of ids, a number of new tokens and a streamer: the whole text
COMPILED = "static", "quantized_static", "sliding_window"  # their shapes stand still, so a decode step can be one graph
TIE = 1e-3  # between logits: as near as two sums of the same float32 numbers may come out in another order


@dataclass(frozen=True)
class Contestant:
    """One way of generating greedily.

    model: whose tokens it must generate. cache: ours whose bytes it must read, at least. exact: whether its numbers are
    the uncached ones but for the order of sums in float32. moves: whether the cache's closed form says what it moves.
    """

    name: str
    model: LanguageModel
    cache: str
    exact: bool
    generate: Generate
    moves: bool = False

    @property
    def keeps(self) -> bool:
        return CACHES[self.cache].keeps


def ours(model: LanguageModel, cache: str, compiled: bool = False) -> Contestant:
    """`generate` through the named cache, by a model with a window if the cache needs one."""
    served, how = served_by(cache, model), {"compile": True} if compiled else {}

    def generate(ids, new_tokens, streamer, filled=None):
        filled = slots_for(served, cache, ids, new_tokens) if filled is None else filled
        return served.generate(ids, max_new_tokens=new_tokens, cache=filled, streamer=streamer, **how)

    exact = exact_in(model.dtype) and not CACHES[cache].lossy
    return Contestant(f"{cache} compiled" if compiled else cache, served, cache, exact, generate, moves=not compiled)


def slots_for(model: LanguageModel, cache: str, ids: Int[Tensor, "B T"], new_tokens: int):
    """An empty cache with room for just this text, if it has a fixed number of slots. The last token takes none."""
    return new_cache(model, len(ids), ids.shape[1] + new_tokens - 1, cache, {})


def exact_in(dtype: torch.dtype) -> bool:
    """Whether the order of a sum hardly shows in numbers of this kind."""
    return torch.finfo(dtype).bits >= 32


def going_on(contestant: Contestant, ids: Int[Tensor, "B T"], new_tokens: int) -> Generate:
    """A contestant of ours that is fed all but the last token of the prompt here, once: each call goes on from there,
    and takes its tokens back."""
    cache = slots_for(contestant.model, contestant.cache, ids, new_tokens)
    contestant.generate(ids[:, :-1], 1, None, cache)

    def generate(ids, new_tokens, streamer):
        text = contestant.generate(ids, new_tokens, streamer, cache)
        cache.crop(-new_tokens)
        return text

    return generate


def as_uncached(contestant: Contestant, text: Int[Tensor, "B N"], prompt: int) -> int:
    """How many of the new tokens the uncached model would pick after the text before them.

    Raises ValueError if an exact contestant picked one whose logit is not the highest: then a race would say nothing.
    """
    same, behind = picks(contestant.model, tuple(map(tuple, text.tolist())), prompt)
    if contestant.exact and behind > TIE:
        raise ValueError(
            f"{contestant.name} generates other tokens than its uncached model, of a logit {behind:.3g} below the "
            "highest: there is nothing to compare"
        )
    return same


@functools.lru_cache(maxsize=4)  # most contestants come to the same text, and at long ones a pass takes a while
@torch.inference_mode()
def picks(model: LanguageModel, rows: tuple[tuple[int, ...], ...], prompt: int) -> tuple[int, float]:
    """How many new tokens have the highest logit, and how far the others are below it: one uncached pass over a row."""
    same, behind = 0, 0.0
    for row in torch.tensor(rows, device=model.device).split(1):
        x = model.hidden(row[:, :-1], None, NoCache())[:, prompt - 1 :]
        logits, new = model.lm_head(x).float(), row[:, prompt:]
        same += int((logits.argmax(-1) == new).sum())
        behind = max(behind, float((logits.amax(-1) - logits.gather(-1, new[..., None])[..., 0]).max()))
    return same, behind
