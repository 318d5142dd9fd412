"""Remember everything, and grow: the shortest form, then one that copies little. When they store, `length` counts the
new tokens already, `text.new` of them."""

import torch
from torch import Tensor

from minigpt.cache.base import Cache


class ConcatCache(Cache):
    """The shortest form: each step copies all that is kept into a tensor one token longer, O(T) a token."""

    def store(self, k, v, layer):
        old, (keys, values) = self.length - self.text.new, self.kv[layer]
        self.kv[layer] = torch.cat([keys[:, :old], k], dim=1), torch.cat([values[:, :old], v], dim=1)
        return *self.kv[layer], self.positions


class DynamicCache(Cache):
    """Grows by doubling: a step writes its tokens in place, and all the copying is O(T) in total."""

    def place(self, layer):
        old, (keys, values) = self.length - self.text.new, self.kv[layer]
        if self.length > keys.shape[1]:
            self.kv[layer] = grow(keys, old, self.length), grow(values, old, self.length)
        return slice(None), slice(old, self.length)


def grow(buffer: Tensor, used: int, slots: int) -> Tensor:
    """A buffer (B, slots or more, K, D), at least twice as long as this one, with the used part copied.

    Doubling keeps the copying cheap: over a run, the lengths copied add up to less than twice the last one. In memory
    the tokens of a head follow each other, as attention reads them: where those of all heads are mixed, reading a long
    text takes about twice as long.
    """
    B, old, K, D = buffer.shape
    slots = max(slots, 2 * old)
    with torch.inference_mode(False):  # what is made in inference mode can't be written outside it
        longer = buffer.new_zeros(B, K, slots, D).transpose(1, 2)
    longer[:, :used] = buffer[:, :used]
    return longer
