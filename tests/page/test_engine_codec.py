"""Numbers as the page's codec rounds them, byte for byte as torch's."""

import pytest
import torch
from engine_asked import NEEDS_NODE, asked, is_noticed, mutant

from minigpt.cache.quantized.codec import Codec, group_shape
from minigpt.cache.quantized.formats import MinMax

pytestmark = NEEDS_NODE

DRAWN = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
DRAWN[:16] = 0.25  # equal numbers have no scale of their own
for start, top in ((16, 3), (32, 15), (48, 255)):
    halves = torch.tensor([0, *[0.5, 1.5, 2.5, 0.5, 1.5, 2.5, 2.0] * 2, top])  # in the middle between two codes
    DRAWN[start : start + 16, 64:] = halves[:, None]
    DRAWN[start, :64] = halves.repeat(4)
NUMBERS = DRAWN.flatten().tolist()

CODECS = [(bits, group, size) for bits in (8, 4, 2) for group, size in [("token", 16), ("token", 128), ("channel", 16)]]

REQUESTS = {
    f"coded {bits, group, size}": {"kind": "coded", "bits": bits, "group": group, "size": size, "numbers": NUMBERS}
    for bits, group, size in CODECS
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


@pytest.mark.parametrize("codec", CODECS)
def test_numbers_become_the_same_bytes_and_are_read_as_the_same_numbers(answers, codec):
    bits, group, size = codec
    theirs = Codec(MinMax(bits), group_shape(group, size, 2, 64), (2, 64), torch.float32)
    blocks = theirs.write(torch.tensor(NUMBERS).view(1, 64, 2, 64))
    assert answers[f"coded {codec}"]["blocks"] == blocks[0].tolist()
    assert answers[f"coded {codec}"]["read"] == theirs.read(blocks).flatten().tolist()


MUTANTS = {  # before, after; the codec that notices
    "halves rounded up": ("x - below === 0.5", "x - below === 2", (4, "token", 16)),
    "scales in double precision": ("fround(fround(high - low) / top)", "(high - low) / top", (8, "channel", 16)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_codec_is_noticed(name, tmp_path):
    *change, codec = MUTANTS[name]
    is_noticed(
        lambda answers: test_numbers_become_the_same_bytes_and_are_read_as_the_same_numbers(answers, codec),
        {f"coded {codec}": REQUESTS[f"coded {codec}"]},
        mutant(tmp_path, "codec", *change),
    )
