"""What a model remembers, and how well it foresees prose, when it reads through a cache."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import make_cache
from minigpt.recall.corpus import Text, held_out
from minigpt.recall.questions import BINS, QUESTION
from minigpt.recall.questions import questions as ask

CHUNK = 64  # tokens fed at once: the later ones read what the cache kept of the earlier
ROWS = 40  # of a batch


@torch.no_grad()
def recall_by_distance(
    model, cache: str = "none", questions: int = 200, seed: int = 0, text: Text | None = None, **cache_options
) -> dict[int, float]:
    """The share of memory questions answered right, for each bin of distance, by its upper edge in tokens.

    Right is the likeliest token of the whole vocabulary being the value that the asked fact gave. The cache
    takes in the prompt in chunks, then the question.
    questions: for each bin. seed: other seeds are other questions. text: the prose around the facts (None:
        the held-out play). cache, cache_options: as make_cache takes them.
    """
    shares = {}
    for low, high in BINS:
        asked, right = ask(seed, (low, high), questions, text), 0
        for prompts, answers in zip(asked.prompts.split(ROWS), asked.answers.split(ROWS), strict=True):
            pieces = *prompts[:, :-QUESTION].split(CHUNK, dim=1), prompts[:, -QUESTION:]
            logits = read_through(model, pieces, cache, cache_options)[:, -1]
            right += int((logits.argmax(-1).cpu() == answers).sum())
        shares[high] = right / questions
    return shares


def chance_by_distance(questions: int = 200, seed: int = 0, text: Text | None = None) -> dict[int, float]:
    """What a guess among the values in view gets right of the same questions."""
    return {high: ask(seed, (low, high), questions, text).chance for low, high in BINS}


@torch.no_grad()
def bits_per_byte(model, cache: str = "none", text: Text | None = None, **cache_options) -> float:
    """The model's surprise at the held-out play, in bits for each byte of UTF-8. 8 is no idea at all.

    The play is cut into segments as long as the context. Nothing foretells a segment's first token, so
    neither its bits nor its bytes count. text: other prose to foresee.
    """
    text = held_out() if text is None else text
    ids, nbytes = torch.from_numpy(text.ids.astype("int64")), torch.from_numpy(text.nbytes.astype("int64"))
    whole = len(ids) // model.config.context * model.config.context
    batches = [*ids[:whole].view(-1, model.config.context).split(ROWS), ids[None, whole:]]
    bits = total = 0
    for rows in batches:
        if rows[:, 1:].numel():
            logits = read_through(model, rows[:, :-1].split(CHUNK, dim=1), cache, cache_options)
            nats = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten().to(logits.device), reduction="none")
            bits, total = bits + nats.double().sum().item() / math.log(2), total + int(nbytes[rows[:, 1:]].sum())
    return bits / total


def assess(model, text: Text, questions: int) -> dict:
    """What the training run records. Recall and chance: a share for each bin of BINS."""
    return {
        "recall": list(recall_by_distance(model, questions=questions, text=text).values()),
        "chance": list(chance_by_distance(questions=questions, text=text).values()),
        "bits_per_byte": bits_per_byte(model, text=text),
    }


def read_through(model, pieces: tuple[Int[Tensor, "B _"], ...], cache: str, options: dict) -> Float[Tensor, "B T V"]:
    """The logits of a text that a cache takes in piece by piece; with no cache, of the text as a whole."""
    rows = len(pieces[0])
    kept = make_cache(cache, model.config, batch_size=rows, dtype=model.dtype, device=model.device, **options)
    if cache == "none":
        pieces = (torch.cat(pieces, dim=1),)
    return torch.cat([model(piece.to(model.device), cache=kept) for piece in pieces], dim=1).float()
