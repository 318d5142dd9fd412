"""Where tokens are kept that are rounded in memory that is all there from the start: exact in a ring, then as codes."""

import itertools
import math

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import checks, in_place
from minigpt.cache.quantized import planes
from minigpt.cache.quantized.rounding import Rounding


class RingAndCodes(Rounding):
    """kv[layer]: the ring's keys and values, then codes, scales and offsets of the keys, then those of the values.

    A ring has slots for the residual, for what waits for its group to fill, and for a chunk. Codes have a place for
    every token. A token's code is written when it leaves the ring, for keys and values apart, in all layers at once.
    """

    capacity: int
    largest_chunk: int
    rounded: tuple[int, int]  # how many tokens' keys are rounded, and how many tokens' values

    @property
    def step(self) -> int:
        """Places for codes come in steps that groups of keys and groups of values both divide."""
        return math.lcm(*(codec.tokens for codec in self.codecs))

    def whole(self, tokens: int) -> int:
        """The places of so many tokens, in whole steps."""
        return -(-tokens // self.step) * self.step

    room = property(lambda self: self.whole(self.capacity))

    def slots(self, layer):
        """Of the ring."""
        waiting = max(codec.tokens for codec in self.codecs) - 1
        return min(self.capacity, self.residual_length + waiting + self.largest_chunk)

    def coded(self, layer: int, which: int) -> planes.Planes:
        """The codes and their scales and offsets, of keys (0) or values (1)."""
        of_keys = 3 + self.codecs[0].format.parameters
        return self.kv[layer][of_keys:] if which else self.kv[layer][2:of_keys]

    def round(self) -> None:
        """What leaves the ring, before new tokens come."""
        held, rounded = self.length - self.text.new, []
        for which, (codec, first) in enumerate(zip(self.codecs, self.rounded, strict=True)):
            leaving = codec.leaving(held - first, self.residual_length)
            if leaving:
                self.leave(which, torch.arange(first, first + leaving, device=self.device))
            rounded.append(first + leaving)
        self.become(rounded=tuple(rounded))

    def leave(self, which: int, tokens: Int[Tensor, " T"]) -> None:
        """Round these tokens' keys (0) or values (1). What they are written over was empty, or taken back."""
        codec, first, end = self.codecs[which], int(tokens[0]), int(tokens[-1]) + 1
        exact = torch.cat([layer[which][:, tokens % self.slots(0)] for layer in self.kv])  # (layers B, T, K, D)
        if not exact.isfinite().all():
            why = f"a key or value of token {first} to {end - 1} is inf or NaN, which no scale spans: take them back"
            checks.refuse_chunk(self, why)
        pads = (self.positions[:, first:end] == NEVER).repeat(len(self.kv), 1)
        parts = [part.split(self.batch_size) for part in planes.write(codec, codec.filled(exact, pads))]
        for layer in range(len(self.kv)):
            codes, *parameters = self.coded(layer, which)
            codes[:, first:end] = parts[0][layer]
            for plane, part in zip(parameters, parts[1:], strict=True):
                plane[:, first // codec.tokens : end // codec.tokens] = part[layer]

    def cropped(self, left):
        for codec, rounded in zip(self.codecs, self.rounded, strict=True):
            self.check_whole(codec, min(left, rounded))
        return super().cropped(left) | {"rounded": tuple(min(left, rounded) for rounded in self.rounded)}

    reset = in_place.reset

    def wipe(self, left):  # by reset() alone: codes that a crop takes back are hidden, and finite
        for each in itertools.chain(*self.kv):
            each.zero_()

    def empty(self, rows):
        new, slots = super().empty(rows), self.room
        kv = [
            (*rings, *(plane for codec in self.codecs for plane in planes.empty(codec, rows, slots, self.device)))
            for rings in new["kv"]
        ]
        return new | {"kv": kv, "rounded": (0, 0)}

    def here(self, layer):
        return [*self.kv[layer]]

    def state(self):
        return [*super().state(), self.rounded]
