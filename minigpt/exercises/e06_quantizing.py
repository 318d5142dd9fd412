"""The exercises of notebook 06."""

import torch

from minigpt.cache.quantized.formats import MinMax, pack, positive
from minigpt.check import Exercise


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def codes(count, bits):
    return torch.randint(2**bits, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))


def min_max(x, bits):
    form = MinMax(bits)
    return form.read(*form.round(x))


def affine(x, low, scale, to_code=torch.round):
    return to_code((x - low) / positive(scale)) * scale + low


def span(x):
    low, high = x.aminmax(dim=-1, keepdim=True)
    return low, high - low


def placed(codes, bits, step):
    """Codes in bytes, the first of each byte at the bottom, the next `step` bits higher."""
    places = step * torch.arange(8 // bits, dtype=torch.uint8)
    return (codes.view(-1, 8 // bits) << places).sum(-1, dtype=torch.uint8)


rounded = Exercise(
    reference=min_max,
    cases=[(numbers(3, 8), 4), (numbers(2, 16), 2), (torch.full((2, 4), 5.0, dtype=torch.float64), 4)],
    axes="group number",
    mistakes={
        "from the lowest code to the highest there is one step less than there are codes": lambda x, bits: affine(
            x, span(x)[0], span(x)[1] / 2**bits
        ),
        "codes are cut off, not rounded: errors of nearly a whole scale": lambda x, bits: affine(
            x, span(x)[0], span(x)[1] / (2**bits - 1), torch.floor
        ),
        "one scale for everything: each group has its own": lambda x, bits: min_max(x.view(1, -1), bits).view(x.shape),
        "the codes are returned: multiply by the scale and add the offset": lambda x, bits: (
            (x - span(x)[0]) / positive(span(x)[1] / (2**bits - 1))
        ).round(),
        "a group of equal numbers has the scale 0, and 0 / 0 is NaN": lambda x, bits: torch.where(
            span(x)[1] == 0, torch.nan, min_max(x, bits)
        ),
    },
)

packed = Exercise(
    reference=pack,
    cases=[(codes(8, 4), 4), (codes(16, 2), 2), (codes(16, 1), 1)],
    axes="byte",
    mistakes={
        "the first code belongs in the lowest bits": lambda codes, bits: pack(
            codes.view(-1, 8 // bits).flip(-1).flatten(), bits
        ),
        "each code must move up by the bits of a code, or they overlap": lambda codes, bits: placed(codes, bits, 1),
        "the codes of a byte lie side by side: those half a row apart were taken": lambda codes, bits: pack(
            codes.view(8 // bits, -1).T.flatten(), bits
        ),
    },
)

bits_a_number = Exercise(
    reference=lambda nbits, numbers, float_bits: nbits + 2 * float_bits / numbers,
    cases=[(4, 64, 16), (2, 32, 16), (8, 64, 32)],
    mistakes={
        "a group keeps two numbers beside its codes: the scale and the offset": lambda nbits, numbers, float_bits: (
            nbits + float_bits / numbers
        ),
        "the scale and the offset belong to the group, and its numbers share them": lambda nbits, numbers, float_bits: (
            float(nbits + 2 * float_bits)
        ),
    },
)

leaving = Exercise(
    reference=lambda exact, residual_length, group: max(0, exact - residual_length) // group * group,
    cases=[(5, 8, 4), (8, 8, 4), (11, 8, 4), (12, 8, 4), (21, 8, 4)],
    mistakes={
        "this still does what the broken one does": lambda exact, residual_length, group: (
            max(0, exact + 1 - residual_length) // group * group
        ),
        "only whole groups leave": lambda exact, residual_length, group: max(0, exact - residual_length),
        "there may be fewer than the residual holds: a negative number leaves": lambda exact, residual_length, group: (
            (exact - residual_length) // group * group
        ),
        "everything is rounded, and no residual stays": lambda exact, residual_length, group: (
            exact // group * group if exact > residual_length else 0
        ),
    },
)
