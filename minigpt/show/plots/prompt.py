"""The short text from which the maps of steps by tokens are drawn."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.pretrained import load_tokenizer

PROMPT, NEW = "To be, or not to be", 24


def prompt() -> Int[Tensor, "1 T"]:
    return torch.tensor([load_tokenizer("recall").encode(PROMPT).ids])
