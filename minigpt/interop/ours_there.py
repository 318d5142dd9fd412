"""A cache of ours as the `cache` of a model of transformers.

transformers builds its mask from numbers alone: column j is the token that came as number offset + j. So each layer is
given its newest keys in the order in which they came, whatever the order of the cache's slots.
"""

import threading
import weakref
from types import SimpleNamespace

import torch
import transformers
from torch import Tensor, nn

from minigpt.attention import NEVER
from minigpt.cache import Cache, CacheError
from minigpt.cache_arguments import check_cache
from minigpt.config import Config
from minigpt.interop.coming import positions_of

Pair = tuple[Tensor, Tensor]  # keys and values


def as_ours(model, config: Config) -> SimpleNamespace:
    """A model of transformers as the door of a cache looks at it."""
    names = "training", "dtype", "device", "parameters"
    return SimpleNamespace(config=config, **{name: getattr(model, name) for name in names})


class CacheOfOurs(transformers.Cache):
    """What transformers asks of a cache, answered by `cache`, one of ours.

    Checked at each pass: that the model is the one it was made for, in evaluation, and that rows, padding and positions
    go on from what is held. Not checked, since `generate` shows a cache only the tokens that are new: that those before
    are those held. `for_text(ids)` does that.
    """

    is_compileable = False
    is_croppable = True  # as far back as the newest chunk, always

    def __init__(self, cache: Cache, decoder: nn.Module):
        super().__init__(layers=[])
        self.cache, self.decoder = cache, weakref.ref(decoder)  # a copy of the cache is none of the model
        self.coming: tuple | None = None  # the thread of the pass that was announced, positions and ids of its tokens

    def __repr__(self) -> str:
        return f"to_transformers({self.cache!r})"

    @torch.no_grad()
    def for_text(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> "CacheOfOurs":
        """This cache, if it holds a proper prefix of that text, or nothing; else CacheError says where it differs."""
        if self.cache.length:
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            positions = (mask.cumsum(1) - 1).masked_fill(mask == 0, NEVER)
            model = as_ours(self.decoder(), self.cache.config)
            check_cache(model, self.cache, input_ids, positions, input_ids.shape[1])
        return self

    def announce(self, model, ids, embeddings, mask, positions) -> None:
        """The hook's: what is about to come. The cache itself takes it in when the first layer does."""
        rows, new = (embeddings if ids is None else ids).shape[:2]
        if not self.cache.length and rows != self.cache.batch_size:
            self.cache.select([0] * rows)  # empty rows are all alike
        self.cache.serve(as_ours(model, self.cache.config), rows)
        positions = positions_of(self.cache, rows, new, mask, positions)
        if ids is None and positions is None:
            positions = torch.arange(new, device=embeddings.device).expand(rows, new) + self.cache.length
        self.coming = threading.get_ident(), positions, ids

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs) -> Pair:
        """(B, K, T, D) -> (B, K, S, D): a layer's newest S tokens, as many as its queries may see."""
        if layer_idx == 0:
            thread, *tokens = self.coming or (None,)
            if thread != threading.get_ident():
                raise CacheError("the model did not announce this pass, or another thread uses this cache")
            self.coming = None
            self.cache.admit(*tokens)
        kept = self.cache.update(key_states.transpose(1, 2), value_states.transpose(1, 2), layer_idx)
        seen, before = self.mask_sizes(layer_idx, self.cache.length, key_states.shape[2])
        keys, values = as_they_came(kept, self.cache, slice(before, before + seen))
        return keys.transpose(1, 2), values.transpose(1, 2)

    def mask_sizes(self, layer: int, length: int, new: int) -> tuple[int, int]:
        """How many of `length` tokens the queries of the newest may see, and how many came before these."""
        window = self.cache.config.windows[layer]
        seen = length if window is None else min(length, window + new - 1)
        return seen, length - seen

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self.mask_sizes(layer_idx, self.cache.length + query_length, query_length)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.cache.length

    def get_max_length(self, layer_idx: int | None = None) -> int:
        return -1 if self.cache.capacity is None else self.cache.capacity

    def crop(self, tokens_to_remove: int) -> None:
        self.cache.crop(tokens_to_remove)

    def reset(self) -> None:
        self.cache.reset()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.cache.select(beam_idx.long())  # it may come as int32

    def batch_repeat_interleave(self, repeats: int) -> None:
        self.cache.select(torch.arange(self.batch_size).repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        self.cache.select(torch.arange(self.batch_size)[indices.cpu()])

    def activate_past_recording(self) -> None:
        """Nothing to do: a cache of ours can always take its newest chunk back."""

    def __len__(self) -> int:
        return self.cache.config.n_layer

    batch_size = property(lambda self: self.cache.batch_size)
    is_initialized = property(lambda self: self.cache.length > 0)
    is_sliding = property(lambda self: [window is not None for window in self.cache.config.windows])
    is_linear = property(lambda self: [False] * len(self))
    is_dummy = property(lambda self: [False] * len(self))


def as_they_came(kept: tuple, cache: Cache, newest: slice) -> Pair:
    """(B, slots, K, D) -> (B, S, K, D): these tokens, each in its place, whatever the order of the slots."""
    keys, values, positions = kept
    if positions is None or torch.equal(positions[:, : cache.length], cache.positions):
        return keys[:, newest], values[:, newest]
    # Padding came first, and empty slots, at NEVER too, are none of the newest.
    order = positions.masked_fill(positions == NEVER, -1).argsort(dim=1)[:, newest.start - newest.stop :, None, None]
    return keys.take_along_dim(order, dim=1), values.take_along_dim(order, dim=1)
