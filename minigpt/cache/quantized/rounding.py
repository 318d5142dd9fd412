"""What rounds keys and values: by which codecs, what it refuses, and what it tells of its groups."""

import math

from minigpt.cache.base import Cache
from minigpt.cache.errors import CacheError
from minigpt.cache.quantized.codec import Codec
from minigpt.cache.quantized.explain import Explanation, explain
from minigpt.cache.quantized.options import codecs
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype, usable_dtype


class Rounding(Cache):
    """A cache whose older tokens are rounded (KIVI: Liu et al., arXiv 2402.02750, section 3). When a chunk comes and n
    tokens are held, the newest residual_length of these n are exact, and so is the chunk. Of the tokens before, whole
    groups are rounded, each once. Padding is never seen, and changes no scale.

    backend: "quanto" (min-max, 4 bits unless told), "hqq" (half-quadratic, 4), "fp8" (e4m3, 8), "kivi" (min-max, 2).
    group_key, group_value: which numbers share a scale, and q_group_size how many: see `codec.group_shape`. None: by
    token; fp8 by tensor; kivi keys by channel. Or axis_key, axis_value, as transformers numbers them.
    Refused: inf, NaN, a crop that cuts a rounded group.
    """

    lossy = True

    def __init__(
        self,
        config: Config,
        batch_size: int = 1,
        backend: str = "quanto",
        nbits: int | None = None,
        q_group_size: int = 64,
        residual_length: int = 128,
        axis_key: int | None = None,
        axis_value: int | None = None,
        group_key: str | None = None,
        group_value: str | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        self.residual_length = whole_number("residual_length", residual_length, least=0)
        keys, values, dtype = (group_key, axis_key), (group_value, axis_value), usable_dtype(dtype)
        self.codecs = codecs(config, backend, nbits, q_group_size, keys, values, dtype)
        super().__init__(config, batch_size, dtype, device)

    def check_whole(self, codec: Codec, left: int) -> None:
        """Refuse to keep `left` tokens where this would cut a group."""
        if left % codec.tokens:
            start = left - left % math.lcm(*(codec.tokens for codec in self.codecs))
            why = f"crop({left - self.length}) would cut a group of rounded tokens, which can't be exact again"
            raise CacheError(f"{why}: take back {self.length - start}, feed the first {left - start} of them again")

    def explain(self, shape: tuple[int, int, int, int]) -> dict[str, Explanation]:
        """Which numbers of keys and values of that shape, (B, T, K, D), share a scale: as data and in words."""
        key_codec, value_codec = self.codecs
        return {"keys": explain(key_codec, shape), "values": explain(value_codec, shape)}
