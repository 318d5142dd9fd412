"""Checks the arguments of `generate` that say which tokens are picked, and turns them into what its loop needs."""

import torch
from torch import Tensor

from minigpt.arguments import is_count
from minigpt.sampling import greedy, is_number, sampler

LARGEST_PENALTY = 30  # any length to this power is a number still


def picker(do_sample: bool, temperature, top_k, top_p, seed, device):
    """How a token is picked from its logits."""
    if do_sample:
        return sampler(temperature, top_k, top_p, seed, device)
    if temperature not in (None, 0, 1) or top_k not in (None, 0, 50) or top_p not in (None, 1) or seed is not None:
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


def copies(model, num_beams, num_return_sequences, length_penalty, early_stopping, do_sample, eos, streamer) -> int:
    """How many rows each row of the prompt becomes: one for each of its beams, or for each text that is drawn."""
    for name, count in (("num_beams", num_beams), ("num_return_sequences", num_return_sequences)):
        if not is_count(count):
            raise ValueError(f"{name} must be a whole number, 1 or more, got {count!r}")
    if num_beams > 1:
        check_beams(model, num_beams, num_return_sequences, length_penalty, early_stopping, do_sample, eos, streamer)
        return num_beams
    if length_penalty != 1 or early_stopping is not False:
        raise ValueError("length_penalty and early_stopping are for beams: add num_beams=4, or so")
    if num_return_sequences > 1 and not do_sample:
        advice = f"add do_sample=True, or num_beams={num_return_sequences}"
        raise ValueError(f"num_return_sequences {num_return_sequences}: greedily a row has one text; {advice}")
    return num_return_sequences


def check_beams(model, count, returned, length_penalty, early_stopping, do_sample, eos, streamer) -> None:
    if do_sample:
        raise ValueError(f"num_beams {count} and do_sample: beams are searched, not drawn; leave one of them out")
    if streamer is not None:
        raise ValueError("which beam is best is known only at the end: leave streamer out, or num_beams")
    if returned > count:
        raise ValueError(f"num_return_sequences {returned} of num_beams {count}: search with more beams")
    most = model.config.vocab_size // max(2, 1 + len(eos))  # so many tokens of one row are the first step's candidates
    if count > most:
        raise ValueError(f"num_beams {count}: for a vocabulary of {model.config.vocab_size} it can be {most} at most")
    if not isinstance(early_stopping, bool) and early_stopping != "never":
        raise ValueError(f'early_stopping must be False, True or "never", got {early_stopping!r}')
    if not is_number(length_penalty) or not abs(length_penalty) <= LARGEST_PENALTY:
        raise ValueError(f"length_penalty must lie in -{LARGEST_PENALTY} ... {LARGEST_PENALTY}, got {length_penalty!r}")
