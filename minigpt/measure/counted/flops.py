"""FLOPs as torch counts them, split by what they are for. A multiplication and an addition are two FLOPs.

Torch's counter sees none in a CPU's fused attention, so `counting` makes attention run in its plain form, as two matrix
products. These are dense: what the mask hides is computed too. Biases, norms, softmax and look-ups are not products,
and count 0.
"""

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minigpt.cache import NoCache
from minigpt.config import Config
from minigpt.loading import model_of
from minigpt.measure.forms.flops import Flops
from minigpt.pretrained import without_memory


@contextlib.contextmanager
def counting():
    """`with counting() as counter:` counts every FLOP inside; `flops_of(counter)` splits them, at any time."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


def flops_of(counter: FlopCounterMode) -> Flops:
    """The count so far, split by module, and within attention by kind of product (batched, or with weights)."""
    counts = counter.get_flop_counts()
    whole = sum(counts.get("Global", {}).values())
    attn, mlp = ([of for name, of in counts.items() if name.endswith(end)] for end in ((".attn", ".self_attn"), ".mlp"))
    attention = sum(of.get(torch.ops.aten.bmm, 0) for of in attn)
    projections = sum(sum(of.values()) for of in attn) - attention
    mlps = sum(sum(of.values()) for of in mlp)
    return Flops(projections, attention, mlps, whole - projections - attention - mlps)


class Shapes(NoCache):
    """Gives attention so many slots that are meta tensors: a shape, no data."""

    def __init__(self, slots: int):
        super().__init__()
        self.slots = slots

    def update(self, k, v, layer):
        k, v = (each.new_empty(len(each), self.slots, *each.shape[2:]) for each in (k, v))
        return k, v, k.new_empty(len(k), self.slots, dtype=torch.int64)


@torch.no_grad()
def flops_of_shapes(config: Config, new: int, slots: int, logit_rows: int, rows: int = 1) -> Flops:
    """FLOPs of a forward pass of `new` tokens over so many slots, counted without computing it: the model's own layers
    run on meta tensors, so a model of any size will do. logit_rows: tokens whose logits are made, in each of the
    batch's `rows`."""
    model, ids = without_memory(model_of(config), config), torch.empty(rows, new, dtype=torch.int64, device="meta")
    with counting() as counter:
        model.lm_head(model.hidden(ids, None, Shapes(slots))[:, new - logit_rows :])
    return flops_of(counter)
