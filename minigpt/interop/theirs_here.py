"""A cache of transformers as one of ours: in `generate`, and under everything that our own caches go through."""

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
import transformers
from torch import Tensor
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, StaticLayer, StaticSlidingWindowLayer

from minigpt.attention import NEVER
from minigpt.cache import CacheError, KVCache, checks
from minigpt.cache.state import State, alone, lasting
from minigpt.cache.text import Text
from minigpt.language_model import LanguageModel

EXACT = DynamicLayer, DynamicSlidingWindowLayer, StaticLayer, StaticSlidingWindowLayer


def from_transformers(cache: transformers.Cache, model) -> "CacheOfTheirs":
    """An empty cache of transformers, as `model.generate(ids, cache=...)` of this package takes it, for that model.

    It takes as many rows as come first. What it can't do is refused before it has changed: `crop` where tokens were
    rounded or pushed out, `select` of more or fewer rows where it has no verb for that. Raises ValueError.
    """
    if not isinstance(cache, transformers.Cache) or isinstance(cache, transformers.EncoderDecoderCache):
        raise ValueError(f"from_transformers wants a cache of transformers for a decoder, got {cache!r}")
    if not isinstance(model, LanguageModel):
        raise ValueError(
            f"from_transformers wants a model of this package, as minigpt.load gives it, got a {type(model).__name__}; "
            "a cache of this package enters a model of transformers by cache_for"
        )
    if cache.layers and cache.get_seq_length():
        raise ValueError(f"the cache holds {cache.get_seq_length()} tokens, and nothing says which: give an empty one")
    return CacheOfTheirs(cache, model)


class CacheOfTheirs(State, KVCache):
    """What a model here asks of a cache, answered by `theirs`, one of transformers. It doesn't know which tokens it
    holds, nor where they stand: here that is known of the text, and of `get_mask_sizes`, which says how many keys the
    next update will return, and the number of the first."""

    moves = "is transformers' own"

    def __init__(self, theirs: transformers.Cache, model):
        self.theirs: Any = theirs  # its layers are of many kinds
        self.config, self.dtype, self.device = model.config, model.dtype, model.device
        self.lossy = isinstance(theirs, transformers.QuantizedCache)
        self.check_layers()
        self.become(text=Text.empty(1, self.device), layers_written=self.config.n_layer)

    def check_layers(self) -> None:
        layers, windows = self.theirs.layers, self.config.windows
        if layers and len(layers) != len(windows):
            raise ValueError(f"the cache has {len(layers)} layers, the model {len(windows)}: make it for a like config")
        for layer, (kept, window) in enumerate(zip(layers, windows, strict=False)):
            if not self.lossy and type(kept) not in EXACT:
                raise ValueError(f"layer {layer} keeps a {type(kept).__name__}: not keys and values only")
            most = kept.get_max_length()
            if kept.is_sliding and (window is None or window > most or self.config.sinks):
                sinks = f" and {self.config.sinks} sinks" if self.config.sinks else ""
                sees = f"a window of {window}{sinks}" if window else "all tokens"
                raise ValueError(f"layer {layer} of the cache keeps {most} tokens, and the model's sees {sees}")

    @property
    def capacity(self) -> int | None:  # type: ignore[override]
        lengths = [each.get_max_length() for each in self.theirs.layers if not each.is_sliding]
        return min((length for length in lengths if length >= 0), default=None)

    @alone
    def serve(self, model, batch_size):
        if not self.length and batch_size != self.batch_size and not self.theirs.is_initialized:
            self.become(text=Text.empty(batch_size, self.device))
        checks.serve(self, model, batch_size)
        self.know(model)

    @alone
    def admit(self, positions, ids=None):
        checks.admit(self, positions, ids)
        self.become(text=self.text.append(positions, ids), layers_written=0)

    @alone
    def update(self, k, v, layer):
        checks.update(self, k, v, layer)
        size, first = self.theirs.get_mask_sizes(self.text.new, layer)
        self.unfinished = "update()"  # until theirs has returned
        keys, values = self.theirs.update(k.transpose(1, 2), v.transpose(1, 2), layer)
        if keys.shape[2] != size:
            raise CacheError(f"this cache of transformers announced {size} keys, returned {keys.shape[2]}: reset() it")
        self.become(layers_written=layer + 1, unfinished="")
        positions = F.pad(self.positions, (0, max(0, first + size - self.length)), value=NEVER)[:, first : first + size]
        return keys.transpose(1, 2), values.transpose(1, 2), positions

    @alone
    @lasting
    def crop(self, count: int) -> None:
        checks.crop(self, count)
        if not all(map(self.has_all, self.theirs.layers)):
            raise CacheError("this cache of transformers can't take tokens back: it rounded some, or pushed some out")
        new, unfinished = self.text.new, self.in_a_pass
        for layer, kept in enumerate(self.theirs.layers):
            gone = -count - (new if unfinished and layer >= self.layers_written else 0)
            if gone:
                kept.crop(-gone)
        self.become(**self.cropped(self.length + count))

    def has_all(self, layer) -> bool:
        """Whether a layer has all tokens as they came, so that the last can be taken back."""
        return self.length < layer.get_max_length() if layer.is_sliding else layer.is_croppable

    @alone
    @lasting
    def select(self, rows: Tensor | list[int]) -> None:
        numbers = checks.row_numbers(self, rows)
        if len(numbers) == self.batch_size:
            self.theirs.reorder_cache(numbers)
        elif all(isinstance(each, DynamicLayer) for each in self.theirs.layers) and not self.lossy:
            self.theirs.batch_select_indices(numbers)
        elif self.length or self.theirs.is_initialized:
            raise CacheError(f"this cache of transformers keeps its {self.batch_size} rows, got {len(numbers)}")
        self.become(text=self.text.select(numbers))

    @alone
    @lasting
    def reset(self):
        self.theirs.reset()
        self.become(text=Text.empty(self.batch_size, self.device), layers_written=self.config.n_layer, unfinished="")

    def cropped(self, left):
        return {"text": self.text.crop(left), "layers_written": self.config.n_layer}

    def here(self, layer):
        """Keys and values in whatever form they are kept, and their counters."""
        return [*tensors(vars(self.theirs.layers[layer]))]

    def state(self):
        held = [each for layer in range(len(self.theirs.layers)) for each in self.here(layer)]
        return [self.positions, self.ids, self.layers_written, self.unfinished, *held]

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for layer in range(len(self.theirs.layers)) for each in self.here(layer))

    @property
    def room(self) -> int:
        lengths = [each.get_max_length() for each in self.theirs.layers]
        return max((self.length if most < 0 else most for most in lengths), default=0)


def tensors(held: Any) -> Iterator[Tensor]:
    """All tensors in what a layer holds; those of a tensor that is made of several, as quanto's."""
    if isinstance(held, Tensor) and hasattr(held, "__tensor_flatten__"):
        held = [getattr(held, name) for name in held.__tensor_flatten__()[0]]
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, dict | list | tuple):
        for each in held.values() if isinstance(held, dict) else held:
            yield from tensors(each)
