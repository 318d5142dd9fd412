"""FLOPs as torch counts them, split by what they are for. A multiplication and an addition are two.

The counter sees 0 in the fused attention of a CPU, so attention is counted in its plain form (`counting`), where it is
two products of matrices. These are dense: what the mask hides is computed too. Biases, norms, softmax and look-ups are
no products, and count 0.
"""

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minigpt.cache import NoCache
from minigpt.config import GPTConfig
from minigpt.measure.cost import Flops
from minigpt.model import GPT


@contextlib.contextmanager
def counting():
    """`with counting() as counter:` counts every FLOP inside; `flops_of(counter)` splits them, at any time."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


def flops_of(counter: FlopCounterMode) -> Flops:
    """What was counted so far: by module, and within attention by kind of product (batched, or with weights)."""
    counts = counter.get_flop_counts()
    whole = sum(counts.get("Global", {}).values())
    attn, mlp = ([of for name, of in counts.items() if name.endswith(end)] for end in (".attn", ".mlp"))
    attention = sum(of.get(torch.ops.aten.bmm, 0) for of in attn)
    projections = sum(sum(of.values()) for of in attn) - attention
    mlp = sum(sum(of.values()) for of in mlp)
    return Flops(projections, attention, mlp, whole - projections - attention - mlp)


class Shapes(NoCache):
    """Attention over so many slots, which have a shape and no numbers."""

    def __init__(self, slots: int):
        self.slots = slots

    def update(self, k, v, layer):
        return k.new_empty(len(k), self.slots, *k.shape[2:]), v.new_empty(len(v), self.slots, *v.shape[2:])


@torch.no_grad()
def flops_of_shapes(config: GPTConfig, new: int, slots: int, logit_rows: int, rows: int = 1) -> Flops:
    """Of a forward pass of `new` tokens whose attention is given `slots`, counted without doing it: on torch's meta
    device the model's own layers are run on shapes alone, so a model of any size will do. logit_rows: of each of
    the `rows` of a batch."""
    with torch.device("meta"):
        model, x = GPT(config), torch.empty(rows, new, config.n_embd)
    with counting() as counter:
        for block in model.blocks:
            x = block(x, None, Shapes(slots))
        model.lm_head(x[:, new - logit_rows :])
    return flops_of(counter)
