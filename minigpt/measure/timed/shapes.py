"""Models of random weights, by the name of their shape: they may have any context."""

import copy

import torch
from torch import nn

from minigpt.config import GPTConfig
from minigpt.language_model import LanguageModel
from minigpt.measure.forms.real_models import GPT2, RECALL, content, gpt_sizes
from minigpt.model import GPT
from minigpt.places import usable_device

BUNDLED = gpt_sizes(content(RECALL / "config.json"))
SHAPES = {
    "recall": BUNDLED,
    "small": BUNDLED | {"n_layer": 4},  # 4 x 128
    "gpt2": GPT2,
}


def random_model(name: str, context: int, device=None, seed: int = 0) -> GPT:
    """A model of that shape, in float32, which reads `context` tokens.

    Its matrices are drawn so large that every layer weighs as much as what it is added to: with GPT-2's own small ones
    a small model repeats its last token, whatever it saw before, and any cache would do.
    Raises ValueError for an unknown name.
    """
    if name not in SHAPES:
        raise ValueError(f"no shape is named {name!r}; there are {', '.join(SHAPES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT(GPTConfig(**SHAPES[name] | {"context": context})).eval()
        for module in model.h.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
    return model.requires_grad_(False).to(usable_device(device))


def in_dtype(model: LanguageModel, dtype: torch.dtype) -> LanguageModel:
    """A copy of the model with its weights in that dtype."""
    return copy.deepcopy(model).to(dtype)
