"""Where numbers first go wrong inside the model, when a story that shows a bug is told to the end."""

import contextlib
from typing import NamedTuple

import torch
from torch import Tensor

from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.shown import ByStory, our_house
from minigpt.proof.sameness import TOLERANCE
from minigpt.proof.stories import steps_of
from minigpt.proof.telling import PAD, Telling, WronglyToldError


class Place(NamedTuple):
    """Numbers from 0: of a layer, of a row, and of a token, which counts from the start of the text with its pads."""

    layer: int
    row: int
    token: int


def first_wrong(shown: ByStory, bug: BrokenCache | ChangedWord) -> Place:
    """The lowest layer, and in it the first token and its first row, whose result differs from the right code's.

    The story's last step must be a feed. Raises ValueError if nothing differs in it.
    """
    right, start = results(shown)
    with bug.planted():
        broken, _ = results(shown)
    wrong = ~((right - broken).abs().amax(-1) <= TOLERANCE)  # so that NaN is wrong
    if not wrong.any():
        raise ValueError(f"no layer's result differs in the last step of {shown}")
    layer, token, row = wrong.transpose(1, 2).nonzero()[0].tolist()
    return Place(layer, row, start + token)


def results(shown: ByStory) -> tuple[Tensor, int]:
    """What each layer hands on of the tokens that the last step feeds, (L, B, T, C), 0 where there is padding, and the
    number of the first of these tokens."""
    (_, pads, _), *before, (_, (count,), _) = steps_of(shown.story)
    telling = Telling(our_house(shown.cache), shown.rule, pads)
    for verb, numbers, _ in before:
        getattr(telling, verb)(*numbers)
    start, at, rows = telling.text.shape[1], telling.at, len(telling.text)
    heard: list[list[Tensor]] = [[] for _ in telling.driver.gpt.h]
    with contextlib.ExitStack() as until_the_end:
        for layer, heard_there in zip(telling.driver.gpt.h, heard, strict=True):
            hook = layer.register_forward_hook(lambda _, given, result, there=heard_there: there.append(result))
            until_the_end.callback(hook.remove)
        until_the_end.enter_context(contextlib.suppress(WronglyToldError))
        telling.feed(count)
    # The cache's run came first, in one piece or in several; what follows is the uncached one's.
    handed_on = torch.stack([torch.cat(pieces, dim=1)[:, :count] for pieces in heard])
    return handed_on.masked_fill((telling.stream[:rows, at : at + count] == PAD)[..., None], 0), start
