"""An outlier on purpose: one key channel becomes larger, and the model computes the same as before.

In large models a few key channels are much larger than the others, which is why keys are grouped by channel (KIVI: Liu
et al., arXiv 2402.02750, section 3). The bundled model has hardly any, so this *injects* them, and whatever shows the
result must say so.
"""

import copy

import torch

from minigpt.config import GPTConfig


@torch.no_grad()
def scale_key_channel(model, layer: int, head: int, channel: int, factor: float):
    """A copy of the model in which that channel of that key head is `factor` times as large.

    In the query heads that read it the channel is divided by as much, so each q k, and all that follows, stays what it
    was, to rounding. Raises ValueError for a layer, a head or a channel that the model doesn't have.
    """
    config = model.config
    if not isinstance(config, GPTConfig):
        raise ValueError("a GPT alone can be given an outlier: a Llama turns channels in pairs")
    for name, number, end in [
        ("layer", layer, config.n_layer),
        ("head", head, config.n_kv_head),
        ("channel", channel, config.head_size),
    ]:
        if not isinstance(number, int) or not 0 <= number < end:
            raise ValueError(f"{name} must lie in 0 ... {end - 1} (of the keys), got {number!r}")
    if not factor > 0 or factor == float("inf"):
        raise ValueError(f"factor must be a positive number, got {factor!r}")
    scaled = copy.deepcopy(model)
    attention, D, G = scaled.h[layer].attn, config.head_size, config.n_head // config.n_kv_head
    queries = [h * D + channel for h in range(head * G, (head + 1) * G)]  # those that read this key head
    key = (config.n_head + head) * D + channel
    for rows in (attention.c_attn.weight, attention.c_attn.bias):
        rows[queries] /= factor
        rows[key] *= factor
    return scaled


def scale_key_channel_everywhere(model, channel: int, factor: float):
    """The same in every key head of every layer."""
    for layer in range(model.config.n_layer):
        for head in range(model.config.n_kv_head):
            model = scale_key_channel(model, layer, head, channel, factor)
    return model
