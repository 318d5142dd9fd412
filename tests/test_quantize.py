"""Rounding and packing, against closed forms and plain restatements."""

import pytest
import torch

from minigpt.cache.quantized.codec import NAMES, Codec, group_shape
from minigpt.cache.quantized.formats import Float8, HalfQuadratic, MinMax, pack, unpack
from minigpt.proof import rounding

FORMATS = [MinMax(1), MinMax(2), MinMax(4), MinMax(8), HalfQuadratic(2), HalfQuadratic(4), HalfQuadratic(8), Float8()]
B, T, K, D = 2, 24, 3, 8


def numbers(dtype=torch.float64, seed=1):
    return torch.randn(B, T, K, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def codec(format, name, size, dtype=torch.float64):
    return Codec(format, group_shape(name, size, K, D), (K, D), dtype)


def there_and_back(codec, x):
    return codec.read(codec.write(x))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_packed_codes_take_just_their_bits_and_come_back_in_order(bits):
    codes = torch.randint(2**bits, (3, 5, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    packed = pack(codes, bits)
    assert packed.nbytes == codes.numel() * bits / 8
    assert torch.equal(unpack(packed, bits), codes)


def test_the_first_codes_lie_in_the_lowest_bits():
    """Code i lies in the same byte as code i + n / 2 of 4 bits, as i + n / 4, i + n / 2 and i + 3 n / 4 of 2."""
    assert pack(torch.tensor([1, 2, 3, 0, 0, 0, 0, 2], dtype=torch.uint8), 2).tolist() == [0b00001101, 0b10000010]
    assert pack(torch.tensor([5, 6, 10, 11], dtype=torch.uint8), 4).tolist() == [0xA5, 0xB6]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 2, 4, 8, 24])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_it_rounds_what_the_plain_restatement_rounds(format, name, size):
    backend = {MinMax: "quanto", HalfQuadratic: "hqq", Float8: "fp8"}[type(format)]
    x, pads = numbers(), torch.zeros(B, T, dtype=torch.bool)
    want = rounding.rounded(x, pads, name, backend, format.bits, size)
    assert (there_and_back(codec(format, name, size), x) - want).abs().max() < 1e-12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [2, 8, 24])
def test_changing_a_number_changes_only_those_that_share_its_scale(name, size):
    """Watched, not believed: the greatest number of all is put at each place in turn."""
    x, coder = numbers(), codec(MinMax(2), name, size)
    of, count = rounding.members(B, T, K, D, name, size)
    before = there_and_back(coder, x).flatten()
    for place in range(0, x.numel(), 37):
        changed = x.flatten().clone()
        changed[place] = 9.0
        moved = there_and_back(coder, changed.view_as(x)).flatten() != before
        assert (of[moved] == of[place]).all()
        assert moved.any()
    assert count == x.numel() // (of == of[0]).sum()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_min_max_is_off_by_half_a_step_at_most(bits, dtype):
    x = numbers(dtype).flatten(0, 2)
    codes, (scale, offset) = MinMax(bits).round(x)
    assert scale.dtype == offset.dtype == dtype
    error = (MinMax(bits).read(codes, [scale, offset]) - x).abs().double()
    slack = 2 ** (bits + 1) * torch.finfo(dtype).eps * x.abs().double().amax(-1, keepdim=True)
    assert (error <= scale.double() / 2 + slack).all()


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_equal_numbers_and_zeros_are_kept(format, dtype):
    x = torch.tensor([0.0, 0.0, 1.5, -3.0, 448.0, 1e-6], dtype=dtype)[:, None].expand(-1, 8).contiguous()
    codes, parameters = format.round(x)
    got = format.read(codes, parameters)
    assert got.isfinite().all()
    assert torch.allclose(
        got.double(), x.double(), rtol=4 * torch.finfo(dtype).eps, atol=2e-6
    )  # 1e-6 / 448 is 0 in float16
    assert (got[:2] == 0).all()


def test_half_quadratic_has_a_smaller_error_than_min_max_where_there_is_an_outlier():
    x = numbers().reshape(-1, 64)
    x[:, 0] *= 8
    errors = [(format.read(*format.round(x)) - x).abs()[:, 1:].mean() for format in (MinMax(2), HalfQuadratic(2))]
    assert errors[1] < 0.95 * errors[0]


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize(
    "x", [[-60000.0, 60000.0, 1.0, -5.0], [4.0, 4.0, 4.0, 4.00390625], [0.0, 6e-8, 0.0, 6e-8]], ids=str
)
def test_what_float16_holds_comes_back_finite_and_within_a_step(format, x):
    x = torch.tensor([x], dtype=torch.float16)
    got = format.read(*format.round(x)).double()
    step = max((x.max() - x.min()).double().item() / (2**format.bits - 1), x.abs().max().item() / 8)
    assert got.isfinite().all()
    assert (got - x.double()).abs().max() <= step + 1e-7
