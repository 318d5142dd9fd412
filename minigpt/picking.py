"""Checks the arguments of `generate` that say which tokens are picked, and turns them into what its loop needs."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from minigpt.arguments import is_count, known
from minigpt.sampling import greedy, is_number, sampler

Stopping = bool | Literal["never"]
# A text's length to the power of the penalty has at most so many digits, before or behind the point. A sum of
# log-probabilities is 0, or has a size of 6e-8 (half of float32's epsilon) or more, and far less than 1e8: divided by
# that power, it is a normal float32.
DIGITS = 30


class Search(NamedTuple):
    """How many texts a row goes on in. Without beams, these are the texts that are drawn, or one."""

    beams: int
    texts: int  # that are returned
    penalty: float
    early_stopping: Stopping


def picker(num_beams, do_sample, temperature, top_k, top_p, seed, device):
    """How a token is picked from its logits, where no beams do it."""
    draws = temperature not in (None, 0, 1) or top_k not in (None, 0, 50) or top_p not in (None, 1) or seed is not None
    if num_beams > 1 and (do_sample or draws):
        raise ValueError(f"num_beams {num_beams} searches: leave out do_sample, temperature, top_k, top_p and seed")
    if not isinstance(do_sample, bool | None):
        raise ValueError(f"do_sample must be True or False, got {do_sample!r}")
    if do_sample:
        return sampler(temperature, top_k, top_p, seed, device)
    if draws:
        raise ValueError("temperature, top_k, top_p and seed are for drawing: add do_sample=True")
    return greedy


def stop_tokens(model, eos_token_id, pad_token_id) -> tuple[Tensor, int | None]:
    """The ids that end a row, and the id that fills it afterwards."""
    eos = eos_token_id if isinstance(eos_token_id, list) else [] if eos_token_id is None else [eos_token_id]
    for token in eos + ([] if pad_token_id is None else [pad_token_id]):
        if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token < model.config.vocab_size:
            raise ValueError(f"eos_token_id and pad_token_id must be ids of the vocabulary, got {token!r}")
    pad = pad_token_id if pad_token_id is not None else eos[0] if eos else None
    return torch.tensor(eos, dtype=torch.int64, device=model.device), pad


def check_streamer(streamer) -> None:
    if streamer is not None and not all(callable(getattr(streamer, verb, None)) for verb in ("put", "end")):
        raise ValueError(f"streamer must have put(ids) and end(), as transformers' TextStreamer has, got {streamer!r}")


def searching(
    num_beams: int | None,
    num_return_sequences: int | None,
    length_penalty: float | None,
    early_stopping: Stopping | None,
    do_sample: bool | None,
) -> Search:
    """The search that is asked for."""
    search = Search(
        known(num_beams, 1),
        known(num_return_sequences, 1),
        known(length_penalty, 1.0),
        False if early_stopping is None else early_stopping,
    )
    for name, count in (("num_beams", search.beams), ("num_return_sequences", search.texts)):
        if not is_count(count):
            raise ValueError(f"{name} must be a whole number, 1 or more, got {count!r}")
    if search.beams == 1 and (search.penalty != 1 or search.early_stopping is not False):
        raise ValueError("length_penalty and early_stopping are for beams: add num_beams=4, or so")
    if search.beams == 1 < search.texts and not do_sample:
        advice = f"add do_sample=True, or num_beams={search.texts}"
        raise ValueError(f"num_return_sequences {search.texts}: greedily a row has one text; {advice}")
    return search


def check_beams(search: Search, new_tokens: int, eos: Tensor, vocab_size: int, streamer) -> None:
    count = search.beams
    if streamer is not None:
        raise ValueError("which beam is best is known only at the end: leave streamer out, or num_beams")
    if search.texts > count:
        raise ValueError(f"num_return_sequences {search.texts} of num_beams {count}: search with more beams")
    most = vocab_size // max(2, 1 + len(eos))  # so many tokens of one row are the first step's candidates
    if count > most:
        ends = f" and {len(eos)} eos tokens" if len(eos) > 1 else ""
        raise ValueError(f"num_beams {count}: with a vocabulary of {vocab_size}{ends}, {most} at most")
    if not isinstance(search.early_stopping, bool) and search.early_stopping != "never":
        raise ValueError(f'early_stopping must be False, True or "never", got {search.early_stopping!r}')
    largest = int(DIGITS / math.log10(max(2, new_tokens)))
    if not is_number(search.penalty) or not abs(search.penalty) <= largest:
        raise ValueError(
            f"length_penalty must lie in -{largest} ... {largest} for {new_tokens} new tokens, got {search.penalty!r}"
        )
