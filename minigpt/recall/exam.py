"""The exam: what a model remembers, and how well it predicts prose, when it reads through a cache."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import KVCache, cache_options, make_cache
from minigpt.recall.corpus import Text, held_out
from minigpt.recall.questions import BINS, LENGTH, QUESTION
from minigpt.recall.questions import questions as ask

CHUNK = 64  # tokens fed at once: the later ones read what the cache kept of the earlier
ROWS = 24  # of a batch


@torch.no_grad()
def right_by_distance(
    model,
    cache: str = "none",
    questions: int = 200,
    seed: int = 0,
    text: Text | None = None,
    length: int = LENGTH,
    bins: list[tuple[int, int]] = BINS,
    chunk: int = CHUNK,
    **cache_options,
) -> dict[int, int]:
    """How many memory questions are answered right, for each bin of distance, by its upper edge in tokens.

    An answer is right if the likeliest token of the whole vocabulary is the value that the fact asked for gave. The
    cache takes in the prompt in chunks, then the question.
    questions: for each bin. seed: other seeds are other questions. text: the prose around the facts (None:
        the held-out play). length: tokens of a prompt. chunk: how many of them are fed at once.
    cache, cache_options: as make_cache takes them.
    """
    asked = {high: ask(seed, (low, high), questions, text, length) for low, high in bins}
    prompts, answers = (torch.cat([getattr(each, part) for each in asked.values()]) for part in ("prompts", "answers"))
    said = torch.cat([answer(model, rows, chunk, cache, cache_options) for rows in prompts.split(ROWS)])
    right = (said == answers).split(questions)
    return {high: int(each.sum()) for high, each in zip(asked, right, strict=True)}


def recall_by_distance(
    model, cache: str = "none", questions: int = 200, seed: int = 0, text: Text | None = None, **cache_options
) -> dict[int, float]:
    """The share of memory questions answered right, for each bin of distance: see right_by_distance."""
    counts = right_by_distance(model, cache, questions, seed, text, **cache_options)
    return {high: right / questions for high, right in counts.items()}


def chance_by_distance(questions: int = 200, seed: int = 0, text: Text | None = None) -> dict[int, float]:
    """The share of the same questions that a guess among the values in view gets right."""
    return {high: ask(seed, (low, high), questions, text).chance for low, high in BINS}


def bits_per_byte(model, cache: str = "none", text: Text | None = None, **cache_options) -> float:
    """The model's surprise at the held-out play, in bits for each byte of UTF-8 (8: no idea at all).

    text: other prose to predict. cache, cache_options: as make_cache takes them.
    """
    bits, nbytes = bits_by_segment(model, cache, text, **cache_options)
    return math.fsum(bits) / sum(nbytes)


@torch.no_grad()
def bits_by_segment(
    model, cache: str = "none", text: Text | None = None, chunk: int = CHUNK, **cache_options
) -> tuple[list[float], list[int]]:
    """The bits of each segment of the play, and its bytes of UTF-8.

    Segments are as long as the context. A segment's first token can't be predicted from anything, so neither its
    bits nor its bytes count.
    """
    text = held_out() if text is None else text
    ids, nbytes = torch.from_numpy(text.ids.astype("int64")), torch.from_numpy(text.nbytes.astype("int64"))
    whole = len(ids) // model.config.context * model.config.context
    batches = [*ids[:whole].view(-1, model.config.context).split(ROWS), ids[None, whole:]]
    segments: tuple[list[float], list[int]] = [], []
    for rows in batches:
        if rows[:, 1:].numel():
            logits = torch.cat([*read_through(model, rows[:, :-1], chunk, cache, cache_options)], dim=1)
            wanted = rows[:, 1:].to(logits.device)
            nats = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted)
            nats = nats.double().sum(1)
            segments[0].extend((nats / math.log(2)).tolist())
            segments[1].extend(nbytes[rows[:, 1:]].sum(1).tolist())
    return segments


def assess(model, text: Text, questions: int) -> dict:
    """What the training run records. Recall and chance: a share for each bin of BINS."""
    return {
        "recall": list(recall_by_distance(model, questions=questions, text=text).values()),
        "chance": list(chance_by_distance(questions=questions, text=text).values()),
        "bits_per_byte": bits_per_byte(model, text=text),
    }


def answer(model, prompts: Int[Tensor, "B T"], chunk: int, cache: str, options: dict) -> Int[Tensor, " B"]:
    """The likeliest token after each prompt, whose last tokens, the question, a cache takes in by themselves."""
    prompts = prompts.to(model.device)
    kept = cache_for(model, len(prompts), chunk, cache, options)
    if kept.keeps:  # else the next call would feed all again
        model.generate(prompts[:, :-QUESTION], max_new_tokens=1, cache=kept, prefill_chunk_size=chunk)
    return model.generate(prompts, max_new_tokens=1, cache=kept)[:, -1].cpu()


def read_through(
    model, rows: Int[Tensor, "B T"], chunk: int, cache: str, options: dict
) -> Iterator[Float[Tensor, "B _ V"]]:
    """The logits of a text that a cache takes in piece by piece; with no cache, of the text as a whole."""
    kept = cache_for(model, len(rows), chunk, cache, options)
    for piece in rows.split(chunk if kept.keeps else rows.shape[1], dim=1):
        yield model(piece.to(model.device), cache=kept).float()


def cache_for(model, rows: int, chunk: int, cache: str, options: dict) -> KVCache:
    if "chunk" in cache_options(cache):  # a ring has slots for the tokens that are fed at once
        options = options | {"chunk": chunk}
    return make_cache(cache, model.config, batch_size=rows, dtype=model.dtype, device=model.device, **options)
