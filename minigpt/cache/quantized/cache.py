"""Old tokens in few bits: they leave the exact residual a group at a time, are rounded once, and never again."""

import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import checks
from minigpt.cache.quantized.codec import Codec
from minigpt.cache.quantized.rounding import Rounding


class QuantizedCache(Rounding):
    """Blocks of rounded tokens, as bytes, and a residual of exact ones, which both grow. What is rounded, when and how:
    see `Rounding`. Attention is given decoded blocks and residual, side by side."""

    bad: Tensor  # whether a layer of this pass has brought inf or NaN

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
        """All keys (or values) as attention reads them: the blocks decoded, then the residual; in memory the tokens of
        a head follow each other, as in `grow`."""
        (B, residual, K, D), rounded = exact.shape, codec.tokens_in(blocks)
        if not rounded:
            return exact
        whole = exact.new_empty(B, K, rounded + residual, D).transpose(1, 2)
        codec.read(blocks, whole[:, :rounded])
        whole[:, rounded:] = exact
        return whole

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
        self.check_whole(codec, left)
        # Copied: a view would keep all of the old tensor alive.
        return exact[:, :0].clone(), blocks[:, : left // codec.tokens].clone()

    def empty(self, rows):
        new = super().empty(rows)
        blocks = [codec.no_blocks(rows, self.device) for codec in self.codecs]
        return new | {"kv": [(*exact, *blocks) for exact in new["kv"]]}

    room = property(lambda self: self.length)  # just what it needs

    def here(self, layer):
        return [*self.kv[layer]]
