"""Old tokens in few bits: they leave the exact residual a group at a time, are rounded once, and never again."""

import math

import torch

from minigpt.attention import NEVER
from minigpt.cache.backends import codecs
from minigpt.cache.base import CacheError, check_crop
from minigpt.cache.explain import Explanation, explain
from minigpt.cache.shelves import Cache
from minigpt.config import GPTConfig


class QuantizedCache(Cache):
    """Blocks of rounded tokens, as bytes, and a residual of exact ones (KIVI: Liu et al., arXiv 2402.02750, section 3).

    When a chunk comes and n tokens are held, the newest residual_length of these n are exact, and so is the chunk. Of
    the tokens before, whole groups are rounded, each once. Padding is never seen, and changes no scale.

    backend: "quanto" (min-max, 4 bits unless told), "hqq" (half-quadratic, 4), "fp8" (e4m3, 8), "kivi" (min-max, 2).
    group_key, group_value: which numbers share a scale, and q_group_size how many: see `groups.box`. None: by token;
    fp8 by tensor; kivi keys by channel. Or axis_key, axis_value, as transformers numbers them.
    requantize: transformers' way instead, see `requantize.Again`. Refused: inf, NaN, a crop that cuts a rounded group.
    """

    lossy = True

    def __init__(
        self,
        config: GPTConfig,
        batch_size: int = 1,
        backend: str = "quanto",
        nbits: int | None = None,
        q_group_size: int = 64,
        residual_length: int = 128,
        axis_key: int | None = None,
        axis_value: int | None = None,
        group_key: str | None = None,
        group_value: str | None = None,
        requantize: bool = False,
        dtype=None,
        device=None,
    ):
        if not isinstance(residual_length, int) or residual_length < 0:
            raise ValueError(f"residual_length must be a whole number, 0 or more, got {residual_length!r}")
        self.residual_length = residual_length
        kinds, rows = ((group_key, axis_key), (group_value, axis_value)), batch_size if requantize else None
        self.codecs = codecs(config, backend, nbits, q_group_size, kinds, dtype or torch.get_default_dtype(), rows)
        super().__init__(config, batch_size, dtype, device)

    def reset(self):
        super().reset()
        self.key_blocks, self.value_blocks = (
            [self.zeros(0, sum(codec.widths), dtype=torch.uint8) for _ in self.keys] for codec in self.codecs
        )

    room = property(lambda self: self.length)  # it has just what it needs

    def here(self, layer):
        return [*super().here(layer), self.key_blocks[layer], self.value_blocks[layer]]

    @property
    def sides(self):
        """Keys, then values: the exact shelves and the blocks of all layers, the codec, how many tokens are rounded."""
        shelves = (self.keys, self.values), (self.key_blocks, self.value_blocks)
        for exact, old, codec in zip(*shelves, self.codecs, strict=True):
            yield exact, old, codec, codec.count(old[0])

    def make_room(self, slots):
        """Round, in all layers, what has left the residual. The new tokens are not counted: they attend exactly."""
        rounding = []
        for exact, old, codec, rounded in self.sides:
            if leaving := codec.leaving(self.length - rounded, rounded, self.residual_length):
                pads = self.positions[:, rounded : rounded + leaving] == NEVER
                parts = zip(old, (each[:, :leaving] for each in exact), strict=True)
                rounding.append((exact, old, leaving, [codec.add(*part, pads) for part in parts]))
        for exact, old, leaving, new in rounding:  # nothing was refused
            exact[:], old[:] = [shelf[:, leaving:] for shelf in exact], new

    def store(self, k, v, layer):
        for (exact, _, _, rounded), new in zip(self.sides, (k, v), strict=True):
            exact[layer] = torch.cat([exact[layer][:, : self.length - self.chunk - rounded], new], dim=1)
        k, v = (torch.cat([codec.read(old[layer]), exact[layer]], dim=1) for exact, old, codec, _ in self.sides)
        return k, v

    def check_shelf(self, k, v, layer):
        super().check_shelf(k, v, layer)
        if not (k.isfinite().all() and v.isfinite().all()):
            then = f"crop(-{self.chunk}) takes these tokens back" if layer else "these tokens are not kept"
            if layer == 0:  # as for a wrong shape
                self.crop(-self.chunk)
            raise CacheError(f"a key or value of layer {layer} is inf or NaN, which no scale can span; {then}")

    def crop(self, count):
        check_crop(count, self.length)
        left = self.length + count
        if any(left < rounded and left % codec.tokens for _, _, codec, rounded in self.sides):
            start = left - left % math.lcm(*(codec.tokens for codec in self.codecs))
            raise CacheError(
                f"crop({count}) would cut a group of rounded tokens, which share a scale and can't be exact again: "
                f"take back {self.length - start}, and feed the first {left - start} of these again"
            )
        super().crop(count)
        for exact, old, codec, rounded in self.sides:
            if left < rounded:
                old[:] = [blocks[:, : left // codec.tokens] for blocks in old]
                exact[:] = [shelf[:, :0] for shelf in exact]

    def explain(self, shape: tuple[int, int, int, int]) -> dict[str, Explanation]:
        """Which numbers of keys and values of that shape, (B, T, K, D), share a scale: as data and in words."""
        return {side: explain(codec, shape) for side, codec in zip(("keys", "values"), self.codecs, strict=True)}

    def select(self, rows):
        rows = self.check_rows(rows)
        with torch.inference_mode(False):
            blocks = [[codec.pick(each, rows) for each in old] for _, old, codec, _ in self.sides]
        super().select(rows)
        self.key_blocks, self.value_blocks = blocks
