"""Old tokens in few bits: they leave the exact residual a group at a time, are rounded once, and never again."""

import math

import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import checks
from minigpt.cache.base import Cache
from minigpt.cache.errors import CacheError
from minigpt.cache.quantized.codec import Codec
from minigpt.cache.quantized.explain import Explanation, explain
from minigpt.cache.quantized.options import codecs
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype, usable_dtype


class QuantizedCache(Cache):
    """Blocks of rounded tokens, as bytes, and a residual of exact ones (KIVI: Liu et al., arXiv 2402.02750, section 3).
    When a chunk comes and n tokens are held, the newest residual_length of these n are exact, and so is the chunk. Of
    the tokens before, whole groups are rounded, each once. Padding is never seen, and changes no scale.

    backend: "quanto" (min-max, 4 bits unless told), "hqq" (half-quadratic, 4), "fp8" (e4m3, 8), "kivi" (min-max, 2).
    group_key, group_value: which numbers share a scale, and q_group_size how many: see `codec.group_shape`. None: by
    token; fp8 by tensor; kivi keys by channel. Or axis_key, axis_value, as transformers numbers them.
    Refused: inf, NaN, a crop that cuts a rounded group.
    """

    lossy = True
    bad: Tensor  # whether a layer of this pass has brought inf or NaN

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

    def store(self, k, v, layer):
        self.check_finite(k, v, layer)
        (key_codec, value_codec), (keys, values, key_blocks, value_blocks) = self.codecs, self.kv[layer]
        keys, key_blocks = self.moved_on(key_codec, keys, key_blocks, k)
        values, value_blocks = self.moved_on(value_codec, values, value_blocks, v)
        self.kv[layer] = keys, values, key_blocks, value_blocks
        return (
            self.decoded(key_codec, key_blocks, keys),
            self.decoded(value_codec, value_blocks, values),
            self.positions,
        )

    def decoded(self, codec: Codec, blocks: Tensor, exact: Tensor) -> Tensor:
        """All keys (or values) as attention reads them: the blocks decoded, then the residual."""
        return torch.cat([codec.read(blocks), exact], dim=1) if blocks.shape[1] else exact

    def moved_on(self, codec: Codec, exact: Tensor, blocks: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        """Residual and blocks after a chunk: new tokens enter the residual, whole groups leave it and are rounded."""
        rounded, held = codec.tokens_in(blocks), self.length - self.text.new
        leaving = codec.leaving(held - rounded, self.residual_length)
        if leaving:
            pads = self.positions[:, rounded : rounded + leaving] == NEVER
            blocks = codec.append(blocks, exact[:, :leaving], pads)
        return torch.cat([exact[:, leaving : held - rounded], new], dim=1), blocks

    def check_finite(self, k, v, layer):
        """Refuse inf and NaN. Only the first and the last layer look, since to look is to wait for the device."""
        bad = (k - k + (v - v)).any()  # x - x is 0, and NaN where x is not finite
        self.bad = bad | self.bad if layer else bad
        if layer in (0, self.config.n_layer - 1) and self.bad:
            then = f"crop(-{self.text.new}) takes these tokens back" if layer else "these tokens are not kept"
            checks.refuse_chunk(self, f"a key or value up to layer {layer} is inf or NaN, which no scale spans; {then}")

    def cropped(self, left):
        uneven = len({tuple(blocks.shape[1] for blocks in layer[2:]) for layer in self.kv}) > 1
        kv, (key_codec, value_codec) = [], self.codecs
        for keys, values, key_blocks, value_blocks in self.kv:
            keys, key_blocks = self.shortened(key_codec, keys, key_blocks, left, uneven)
            values, value_blocks = self.shortened(value_codec, values, value_blocks, left, uneven)
            kv.append((keys, values, key_blocks, value_blocks))
        return super().cropped(left) | {"kv": kv}

    def shortened(self, codec: Codec, exact: Tensor, blocks: Tensor, left: int, uneven: bool) -> tuple[Tensor, Tensor]:
        """Residual and blocks of the first `left` tokens. What the residual has beyond goes at the next update."""
        if uneven:  # a pass was cut short: some layers have rounded what left the residual, and now all do
            exact, blocks = self.moved_on(codec, exact, blocks, exact[:, :0])
        if left >= codec.tokens_in(blocks):
            return exact, blocks
        if left % codec.tokens:
            start = left - left % math.lcm(*(codec.tokens for codec in self.codecs))
            why = f"crop({left - self.length}) would cut a group of rounded tokens, which can't be exact again"
            raise CacheError(f"{why}: take back {self.length - start}, feed the first {left - start} of them again")
        # Copied: a view would keep all of the old tensor alive.
        return exact[:, :0].clone(), blocks[:, : left // codec.tokens].clone()

    def empty(self, rows):
        new = super().empty(rows)
        blocks = [codec.no_blocks(rows, self.device) for codec in self.codecs]
        return new | {"kv": [(*exact, *blocks) for exact in new["kv"]]}

    room = property(lambda self: self.length)  # just what it needs

    def here(self, layer):
        return [*self.kv[layer]]

    def explain(self, shape: tuple[int, int, int, int]) -> dict[str, Explanation]:
        """Which numbers of keys and values of that shape, (B, T, K, D), share a scale: as data and in words."""
        key_codec, value_codec = self.codecs
        return {"keys": explain(key_codec, shape), "values": explain(value_codec, shape)}
