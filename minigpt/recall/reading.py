"""A passage read through a cache, then lines of it begun again: how well it was predicted, and what is remembered."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor

from minigpt.recall.exam import CHUNK, cache_for
from minigpt.recall.plain_english import EACH, REST, Passage, PlainEnglish, Recital, bins_of

SEGMENT = 250  # tokens: pieces of prose of which an interval is made


@dataclass(frozen=True)
class Reading:
    """bits, nbytes: of the prose in each segment of a passage. right: of each bin of distance, the nearest first, how
    many of REST tokens are predicted in each of its EACH lines."""

    bits: list[float]
    nbytes: list[int]
    right: list[list[int]]


@torch.inference_mode()
def read(model, passage: Passage, cache: str = "none", **options) -> Reading:
    """The cache takes in the passage in chunks; then each recital by itself, as a fork of what was read.

    A token is right if it is the likeliest of the whole vocabulary, after the line's tokens before it. A passage's
    first token can't be predicted, and does not count. cache, options: as make_cache takes them.
    """
    kept = cache_for(model, 1, CHUNK, cache, options)
    bits = surprises(model, passage.ids, kept, CHUNK if kept.keeps else passage.ids.shape[1])
    segments, nbytes = bits.split(SEGMENT), passage.nbytes[1:].split(SEGMENT)
    right = [recite(model, each, kept, passage.ids) for each in passage.recitals]
    by_bin = [list(each) for each in zip(*right, strict=True)]
    return Reading([segment.sum().item() for segment in segments], [int(each.sum()) for each in nbytes], by_bin)


@torch.inference_mode()
def unread(model, passage: Passage) -> list[list[int]]:
    """What is right where nothing was read: as Reading has it."""
    right = [recite(model, each, cache_for(model, 1, CHUNK, "none", {}), each.ids[:, :0]) for each in passage.recitals]
    return [list(each) for each in zip(*right, strict=True)]


def surprises(model, ids: Int[Tensor, "1 T"], cache, chunk: int) -> Float[Tensor, " T_1"]:
    """The surprise at each token but the first, in bits."""
    found = []
    for piece, wanted in zip(ids.split(chunk, dim=1), ids[0, 1:].split(chunk), strict=False):
        logits = model(piece.to(model.device), cache=cache)[0, : len(wanted)].float()
        found.append(F.cross_entropy(logits, wanted.to(logits.device), reduction="none").double().cpu())
    return torch.cat(found) / math.log(2)


def recite(model, recital: Recital, cache, before: Int[Tensor, "1 T"]) -> list[int]:
    """How many tokens of each line are predicted, after what the cache has read, which stays as it is. before: what it
    has read, for one that keeps nothing."""
    fork, ids = copy.deepcopy(cache), recital.ids if cache.keeps else torch.cat([before, recital.ids], dim=1)
    likeliest = model(ids.to(model.device), cache=fork)[0, -recital.ids.shape[1] : -1].argmax(-1).cpu()
    right = (likeliest == recital.ids[0, 1:])[recital.asked[0, 1:]]
    return right.view(-1, REST).sum(1).tolist()


def recall_in_plain_english(
    model,
    tokenizer: Tokenizer,
    cache: str = "none",
    passages: int = 5,
    seed: int = 0,
    on_passage: Callable[[], None] = lambda: None,
    **options,
) -> tuple[dict[int, float], dict[int, float], float]:
    """The share of tokens predicted in lines begun again, and where nothing was read, for each bin of distance that the
    model can read, by its upper edge in tokens; and the bits a byte of the passages.

    seed: other seeds begin other lines. cache, options: as make_cache takes them.
    """
    bins, play = bins_of(model), PlainEnglish(tokenizer)
    readings, guessed = [], []
    for number in range(passages):
        passage = play.passage(seed, number, bins)
        readings.append(read(model, passage, cache, **options))
        guessed.append(unread(model, passage))
        on_passage()
    bits, nbytes = (math.fsum(sum(getattr(each, name)) for each in readings) for name in ("bits", "nbytes"))
    return shares([each.right for each in readings], bins), shares(guessed, bins), bits / nbytes


def shares(right: list[list[list[int]]], bins: list[tuple[int, int]]) -> dict[int, float]:
    """right: of each passage, as Reading has it."""
    found = torch.tensor(right).sum((0, 2)) / (len(right) * EACH * REST)
    return {high: share for (_, high), share in zip(bins, found.tolist(), strict=True)}
