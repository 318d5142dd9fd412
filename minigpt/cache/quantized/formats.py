"""Number formats: how a group of numbers is rounded to a few bits and one scale, and how codes are packed in bytes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

Parameters = list[Float[Tensor, "*#G 1"]]  # of each group: its scale, and, where the format has one, its offset


def pack(codes: UInt8[Tensor, "*B n"], bits: int) -> UInt8[Tensor, "*B m"]:
    """8 / bits codes in each byte: of 4 bits, code i lies in the lower half of byte i, code i + n / 2 in its upper one.
    So codes that lie side by side are read side by side, many at once. n must fill whole bytes."""
    places = torch.arange(0, 8, bits, dtype=torch.uint8, device=codes.device)
    return (codes.unflatten(-1, (8 // bits, -1)) << places[:, None]).sum(-2, dtype=torch.uint8)


def unpack(packed: Integer[Tensor, "*B m"], bits: int) -> Integer[Tensor, "*B n"]:
    """The codes, in the dtype of `packed`: bytes are few to read, and compiled code wants them as int32, which it
    shifts many at once."""
    if bits == 8:
        return packed
    places = torch.arange(0, 8, bits, dtype=packed.dtype, device=packed.device)
    return (packed[..., None, :] >> places[:, None] & 2**bits - 1).flatten(-2)


@dataclass(frozen=True)
class MinMax:
    """Affine, from each group's smallest number (code 0) to its largest (code 2^bits - 1): code x scale + offset.

    What optimum-quanto does, and KIVI (Liu et al., arXiv 2402.02750, section 3). No number is off by more than half a
    scale. A group of equal numbers is kept exactly.
    """

    bits: int
    parameters = 2  # numbers kept for each group beside its codes

    def __post_init__(self):
        if self.bits not in (1, 2, 4, 8) or isinstance(self.bits, bool):
            raise ValueError(f"nbits must be 1, 2, 4 or 8, got {self.bits!r}")

    def round(self, x: Float[Tensor, "*G n"]) -> tuple[UInt8[Tensor, "*G n"], Parameters]:
        low, high = upcast(x).aminmax(dim=-1, keepdim=True)
        scale = ((high - low) / self.top).clamp(max=torch.finfo(x.dtype).max)
        scale = positive(scale.to(x.dtype))  # as it will be read
        codes = ((upcast(x) - low) / upcast(scale)).round().clamp(0, self.top)
        return codes.to(torch.uint8), [scale, low.to(x.dtype)]

    def read(
        self, codes: Integer[Tensor, "*G n"], parameters: Parameters, into: Float[Tensor, "*G n"] | None = None
    ) -> Float[Tensor, "*G n"]:
        """The numbers. into: where they are written; if not given, a new tensor."""
        scale, offset = map(upcast, parameters)
        numbers = floats(codes, scale.dtype, into).mul_(scale).add_(offset)
        return numbers.to(parameters[0].dtype) if into is None else into.copy_(numbers)

    @property
    def top(self) -> int:
        """The largest code."""
        return 2**self.bits - 1


class HalfQuadratic(MinMax):
    """Min-max's scale, with a zero-point moved so that most errors shrink and a few outliers may grow: the l_0.7 norm
    of the error, by half-quadratic splitting (Badri and Shaji, "Half-Quadratic Quantization", 2023), as hqq does it."""

    def round(self, x):
        numbers = upcast(x)
        low, high = numbers.aminmax(dim=-1, keepdim=True)
        width = high - low
        inverse = torch.where(width <= 1e-4, 1.0, self.top / width).clamp(max=2e4)  # 1 / scale, within half precision
        inverse = inverse.clamp(max=torch.finfo(x.dtype).max / 2 / torch.maximum(-low, high).clamp(min=1))  # zero, too
        zero = self.settled(numbers, inverse, -low * inverse)
        codes = (numbers * inverse + zero).round().clamp(0, self.top)
        return codes.to(torch.uint8), [(1 / inverse).to(x.dtype), zero.to(x.dtype)]

    def settled(self, numbers: Tensor, inverse: Tensor, zero: Tensor) -> Tensor:
        """The zero-points after 20 rounds. (hqq may stop before, all groups at once; so one changes the others.)"""
        for _ in range(20):
            zero, _ = self.moved(numbers, inverse, zero)
        return zero

    def moved(self, numbers: Tensor, inverse: Tensor, zero: Tensor) -> tuple[Tensor, Tensor]:
        """The zero-points after one more round, and the errors before it."""
        codes = (numbers * inverse + zero).round().clamp(0, self.top)
        errors = numbers - (codes - zero) / inverse
        return (codes - (numbers - shrink(errors)) * inverse).mean(-1, keepdim=True), errors

    def read(self, codes, parameters, into=None):
        scale, zero = parameters
        return floats(codes, scale.dtype, into).sub_(zero).mul_(scale)


@dataclass(frozen=True)
class Float8:
    """An 8-bit float (e4m3: 4 bits of exponent, 3 of mantissa) times a scale that takes the group's largest to 448."""

    bits: int = 8
    parameters = 1

    def __post_init__(self):
        if self.bits != 8:
            raise ValueError(f"fp8 has 8 bits: nbits must be 8, got {self.bits!r}")

    def round(self, x):
        scale = positive(upcast(x).abs().amax(-1, keepdim=True) / 448).to(x.dtype)
        codes = (upcast(x) / positive(upcast(scale))).clamp(-448, 448)  # older casts overflow to NaN, not to 448
        return codes.to(torch.float8_e4m3fn).view(torch.uint8), [scale]

    def read(self, codes, parameters, into=None):
        (scale,) = parameters
        return floats(codes.view(torch.float8_e4m3fn), scale.dtype, into).mul_(scale)


def floats(codes: Tensor, dtype: torch.dtype, into: Tensor | None) -> Tensor:
    """Codes as numbers to compute with in place: where they belong, if that has the dtype. So none is moved twice."""
    return codes.to(dtype) if into is None or into.dtype != dtype else into.copy_(codes)


def shrink(errors: Tensor, beta: float = 10.0, p: float = 0.7) -> Tensor:
    """Of each error what is left once the usual ones are taken off: large ones nearly whole, small ones 0."""
    size = errors.abs()
    return errors.sign() * (size - 1 / beta * size.pow(p - 1)).clamp(min=0)


def upcast(x: Tensor) -> Tensor:
    """In float32 at least: sums and differences of half-precision numbers overflow, and lose bits."""
    return x if x.dtype == torch.float64 else x.float()


def positive(scale: Tensor) -> Tensor:
    """1 instead of 0, for groups whose numbers are all the same (or too close for a scale of that dtype)."""
    return torch.where(scale == 0, torch.ones_like(scale), scale)
