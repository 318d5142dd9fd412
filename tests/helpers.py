"""Small models whose logits are far from ties, and texts for them."""

import contextlib

import jaxtyping
import torch

from minigpt.attention import NEVER
from minigpt.config import GPTConfig
from minigpt.model import GPT

SIZES = {"vocab_size": 61, "context": 48, "n_layer": 2, "n_head": 4, "n_embd": 32}


@torch.no_grad()
def spread(module, seed, std=0.2):
    """Draw every parameter anew, norms and biases too: a weight at 0 or 1 could hide a mistake.

    Positions weigh most, or else a random model repeats one token for ever, and any two texts agree.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        scale = 5 * std if "wpe" in name else std
        parameter.copy_(noise * scale + (parameter == 1))  # the scales of layer norms stay around 1
    return module.eval()


def random_gpt(seed=0, dtype=torch.float64, **sizes) -> GPT:
    return spread(GPT(GPTConfig(**{**SIZES, **sizes})).to(dtype), seed)


def random_ids(rows, length, seed=0, vocab_size=SIZES["vocab_size"]) -> torch.Tensor:
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


def left_padding(pads, length) -> torch.Tensor:
    """The attention_mask of rows that have so many pads on the left."""
    return (torch.arange(length) >= torch.tensor(pads)[:, None]).long()


def positions_of(mask) -> torch.Tensor:
    """0, 1, 2, ... from each row's first token on; NEVER before."""
    return (mask.cumsum(1) - 1).masked_fill(mask == 0, NEVER)


@contextlib.contextmanager
def as_for_a_user():
    """Without the shape checks of the tests, which would answer a bad argument before the package itself does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def clock(*times):
    """Tells these times, one at each call."""
    return iter(times).__next__
