"""Rounding, written again from its definitions, group by group of numbers that share a scale."""

from functools import cache as remember

import torch


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
