"""What each cache must equal: the uncached model, or, for one that rounds, the uncached model that reads the rounded
numbers wherever the cache had rounded them. Nothing here uses the caches' code: the rounding is written again, plainly.

A history is a list of numbers: n for a chunk of n tokens, -n where the last n tokens were taken back.
"""

from functools import cache as remember

import torch
import torch.nn.functional as F

from minigpt.attention import NEVER, sees

# With these a cache shows what it is for in the short texts of the tests.
ROUNDED = {"group_key": "channel", "group_value": "token", "q_group_size": 4, "residual_length": 3}
OPTIONS = {"quantized": ROUNDED, "quantized_static": {**ROUNDED, "chunk": 9}}

DEFAULTS = {"backend": "quanto", "nbits": 4, "group_key": "token", "group_value": "token"}


def expected(name, gpt, ids, positions, history, options=None):
    """The logits (B, T, V) that a cache must give for the tokens that are left after that history."""
    return ORACLES.get(name, uncached)(gpt, ids, positions, history, OPTIONS.get(name) if options is None else options)


def uncached(gpt, ids, positions, history, options):
    return gpt(ids, positions)


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
    counts, done = [], 0
    for event in history:
        if event < 0:
            counts = counts[:event]
            done = min(done, len(counts))
        else:
            done = max(done, (len(counts) - residual_length) // group_tokens * group_tokens)
            counts += [done] * event
    return counts


def span(group, size, D):
    """Tokens that share a scale."""
    return size if group != "token" else max(1, size // D)


def rounded(x, pads, group, backend, bits, size):
    """x (B, T, H, D), its whole groups rounded, the tokens of an unfinished group as they are.

    A pad counts as the last token among its group's, so that it changes no scale.
    """
    (B, T, H, D), step = x.shape, span(group, size, x.shape[-1])
    whole = T - T % step
    if not whole:
        return x
    last = torch.arange(whole) // step * step + step - 1
    x = torch.cat([torch.where(pads[:, :whole, None, None], x[:, last], x[:, :whole]), x[:, whole:]], dim=1)
    of, count = members(B, whole, H, D, group, size)
    old = x[:, :whole].reshape(-1)
    form = {"quanto": min_max, "kivi": min_max, "hqq": half_quadratic, "fp8": e4m3}[backend]
    return torch.cat([form(old, of, count, bits).reshape(B, whole, H, D), x[:, whole:]], dim=1)


@remember
def members(B, T, H, D, group, size):
    """The number of the group of each element, as the sentences about groups say it, and how many groups there are."""
    b, t, h, d = torch.meshgrid(*(torch.arange(n) for n in (B, T, H, D)), indexing="ij")
    names = {
        "token": (b, h, t // max(1, size // D), d // size),
        "channel": (b, h, t // size, d),
        "head": (b, h, t // size),
        "tensor": (b, t // size),
    }[group]
    of = torch.zeros_like(b)
    for name in names:
        of = of * (int(name.max()) + 1) + name
    return of.flatten(), int(of.max()) + 1


def each_group(x, of, count, how):
    """The least, greatest or mean number of each group, given to each of its members."""
    return torch.zeros(count, dtype=x.dtype).scatter_reduce(0, of, x, how, include_self=False)[of]


def nearest(x, levels):
    """The nearest of the levels (n or x.numel(), L) for each number."""
    return levels.expand(len(x), -1).gather(1, (x[:, None] - levels).abs().argmin(1, keepdim=True))[:, 0]


def min_max(x, of, count, bits):
    low, high = (each_group(x, of, count, how) for how in ("amin", "amax"))
    levels = low[:, None] + torch.arange(2**bits) * ((high - low) / (2**bits - 1))[:, None]
    return nearest(x, levels)


def e4m3(x, of, count, bits):
    """Of 8 bits, 4 are the exponent (bias 7), 3 the fraction; 0 has no leading 1; the greatest code is NaN."""
    positive = [2**-6 * f / 8 for f in range(8)] + [2 ** (e - 7) * (1 + f / 8) for e in range(1, 16) for f in range(8)]
    levels = torch.tensor(positive[:-1], dtype=x.dtype)
    largest = each_group(x.abs(), of, count, "amax")
    scale = torch.where(largest == 0, 1, largest / 448)
    return x.sign() * nearest((x / scale).abs(), levels) * scale


def half_quadratic(x, of, count, bits):
    low, high = (each_group(x, of, count, how) for how in ("amin", "amax"))
    scale = torch.where(high - low > 1e-4, (high - low) / (2**bits - 1), 1).clamp(min=5e-5)
    zero = -low / scale
    for _ in range(20):
        codes = (x / scale + zero).round().clamp(0, 2**bits - 1)
        error = x - (codes - zero) * scale
        outlier = error.sign() * (error.abs() - error.abs() ** -0.3 / 10).clamp(min=0)
        zero = each_group(codes - (x - outlier) / scale, of, count, "mean")
    return ((x / scale + zero).round().clamp(0, 2**bits - 1) - zero) * scale


ORACLES = dict.fromkeys(("quantized", "quantized_static"), uncached_reading_rounded)
