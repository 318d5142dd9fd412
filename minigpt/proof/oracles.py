"""What each cache must equal: the uncached model, or, for one that rounds, the uncached model that reads the rounded
numbers wherever the cache had rounded them. Nothing here uses the caches' code: the rounding is written again, plainly.

A history is a list of numbers: n for a chunk of n tokens, -n where the last n tokens were taken back.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F

from minigpt.attention import NEVER, sees
from minigpt.proof.rounding import rounded, span

# With these a cache shows what it is for in the short texts of the proof.
ROUNDED = {"group_key": "channel", "group_value": "token", "q_group_size": 4, "residual_length": 3}
OPTIONS = {"quantized": ROUNDED, "quantized_static": {**ROUNDED, "chunk": 9}}

DEFAULTS = {"backend": "quanto", "nbits": 4, "group_key": "token", "group_value": "token"}


def expected(name, gpt, ids, positions, history, options=None):
    """The logits (B, T, V) that a cache must give for the tokens that are left after that history."""
    return ORACLES.get(name, uncached)(gpt, ids, positions, history, OPTIONS.get(name) if options is None else options)


def uncached(gpt, ids, positions, history, options):
    return one_pass(gpt, *(tuple(map(tuple, each.tolist())) for each in (ids, positions)))


@lru_cache(maxsize=1024)
def one_pass(gpt, ids, positions):
    """Remembered, since many caches, and many ways to feed the same text, are held to it."""
    with torch.no_grad():
        return gpt(*(torch.tensor(each, device=gpt.device) for each in (ids, positions)))


def uncached_reading_rounded(gpt, ids, positions, history, options):
    """One pass over the whole text, in which each query reads the rounded numbers of the tokens that were rounded while
    its own chunk attended, and the exact numbers of all others."""
    options = {**DEFAULTS, **options}
    how = options["backend"], options["nbits"], options["q_group_size"]
    config, D = gpt.config, gpt.config.head_size
    (B, T), per_key = ids.shape, config.n_head // config.n_kv_head
    reads_rounded = [
        torch.arange(T)
        < torch.tensor(rounded_for(history, span(group, how[2], D), options["residual_length"]))[:, None]
        for group in (options["group_key"], options["group_value"])
    ]
    x = gpt.wte.weight[ids] + gpt.wpe.weight[positions.clamp(max=config.context - 1)]
    for block, window in zip(gpt.h, config.windows, strict=True):
        mask = sees(positions, positions, window, config.sinks)[:, 0]  # (B, T, T)
        y = F.layer_norm(x, x.shape[-1:], block.ln_1.weight, block.ln_1.bias, config.layer_norm_epsilon)
        qkv = (y @ block.attn.c_attn.weight.T + block.attn.c_attn.bias).view(B, T, -1, D)
        q, k, v = qkv.split([config.n_head, config.n_kv_head, config.n_kv_head], dim=2)
        pads = positions == NEVER
        k2, v2 = (rounded(x, pads, options[group], *how) for x, group in [(k, "group_key"), (v, "group_value")])
        k, v, k2, v2 = (each.repeat_interleave(per_key, dim=2) for each in (k, v, k2, v2))
        exact, coarse = (torch.einsum("bthd,bshd->bhts", q, keys) / D**0.5 for keys in (k, k2))
        scores = torch.where(reads_rounded[0], coarse, exact).masked_fill(~mask[:, None], -torch.inf)
        weights = scores.softmax(-1)
        out = torch.einsum("bhts,bshd->bthd", weights * reads_rounded[1], v2)
        out = out + torch.einsum("bhts,bshd->bthd", weights * ~reads_rounded[1], v)
        x = x + out.reshape(B, T, -1) @ block.attn.c_proj.weight.T + block.attn.c_proj.bias
        x = x + block.mlp(F.layer_norm(x, x.shape[-1:], block.ln_2.weight, block.ln_2.bias, config.layer_norm_epsilon))
    return gpt.lm_head(F.layer_norm(x, x.shape[-1:], gpt.ln_f.weight, gpt.ln_f.bias, config.layer_norm_epsilon))


def rounded_for(history, group_tokens, residual_length):
    """For each token that is left: how many tokens from the first on were rounded while its chunk attended.

    When a chunk comes, the newest residual_length tokens held are exact, and before these whole groups are rounded.
    What was rounded stays rounded, also when tokens behind it are taken back.
    """
    counts: list[int] = []
    done = 0
    for event in history:
        if event < 0:
            counts = counts[:event]
            done = min(done, len(counts))
        else:
            done = max(done, (len(counts) - residual_length) // group_tokens * group_tokens)
            counts += [done] * event
    return counts


ORACLES = dict.fromkeys(("quantized", "quantized_static"), uncached_reading_rounded)
