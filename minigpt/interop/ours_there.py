"""A cache of ours as the `cache` of a model of transformers.

transformers builds its mask from numbers alone: column j is the token that came as number offset + j. So each layer is
given its newest keys in the order in which they came, whatever the order of the cache's slots.
"""

import weakref
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import CacheError, CacheOptions, KVCache, make_cache
from minigpt.cache_arguments import check_cache
from minigpt.config import GPTConfig
from minigpt.interop.announce import announce_to, positions_of
from minigpt.interop.sizes import config_of

Pair = tuple[Tensor, Tensor]


def to_transformers(cache: KVCache, model: transformers.PreTrainedModel) -> "CacheOfOurs":
    """A cache of ours, made for `config_of(model)`, as `model.generate(..., cache=...)` takes it.

    While it is empty it takes as many rows as come. The model gets a hook that announces each pass to such a cache:
    which tokens come, and which are padding. Raises ValueError or CacheError, with the reason, for what can't be served.
    """
    if not isinstance(cache, KVCache) or not cache.keeps:
        raise ValueError(f"to_transformers wants a cache that keeps something, as make_cache gives it, got {cache!r}")
    return served(cache, model, config_of(model))


def cache_for(model: transformers.PreTrainedModel, name: str, **options: Any) -> "CacheOfOurs":
    """The cache of that name (see `make_cache`, also for its options), empty, for a model of transformers."""
    config = config_of(model)
    known: CacheOptions = {"dtype": model.dtype, "device": model.device, **options}  # type: ignore[typeddict-item]
    return served(make_cache(name, config, **known), model, config)


def served(cache: KVCache, model, config: GPTConfig) -> "CacheOfOurs":
    wanted, got = sizes(config), sizes(cache.config)
    if wanted != got:
        differ = ", ".join(f"{name} {got[name]} for {wanted[name]}" for name in wanted if wanted[name] != got[name])
        raise CacheError(
            f"the cache was made for another model than this {type(model).__name__} ({differ}): make it for "
            "config_of(model). Windows are the model's own, and sinks no mask of transformers knows"
        )
    with torch.no_grad():
        cache.serve(as_ours(model.base_model, cache.config), cache.batch_size)
    announce_to(CacheOfOurs, model)
    return CacheOfOurs(cache, model.base_model)


def sizes(config: GPTConfig) -> dict:
    return {name: getattr(config, name) for name in ("n_layer", "n_kv_head", "head_size", "windows", "sinks")}


def as_ours(model, config: GPTConfig) -> SimpleNamespace:
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

    def __init__(self, cache: KVCache, decoder: transformers.PreTrainedModel):
        super().__init__(layers=[])
        self.cache, self.decoder = cache, weakref.ref(decoder)  # a copy of the cache is none of the model
        self.coming: tuple[Tensor | None, Tensor | None] | None = None  # positions and ids of the pass under way

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
        self.coming = positions, ids

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs) -> Pair:
        """(B, K, T, D) -> (B, K, S, D): a layer's newest S tokens, as many as its queries may see."""
        if layer_idx == 0:
            if self.coming is None:
                raise CacheError("the model did not announce this pass: make the cache by to_transformers(cache, model)")
            self.cache.admit(*self.coming)
            self.coming = None
        kept = self.cache.update(key_states.transpose(1, 2), value_states.transpose(1, 2), layer_idx)
        length, (seen, _) = self.cache.length, self.mask_sizes(layer_idx, self.cache.length, key_states.shape[2])
        keys, values = as_they_came(*kept, self.cache, slice(length - seen, length))
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


def as_they_came(keys: Tensor, values: Tensor, positions: Tensor | None, cache: KVCache, newest: slice) -> Pair:
    """(B, slots, K, D) -> (B, S, K, D): these tokens, each in its place, whatever the order of the slots."""
    if positions is None or torch.equal(positions[:, : cache.length], cache.positions):
        return keys[:, newest], values[:, newest]
    # Padding came first, and empty slots, at NEVER too, are none of the newest.
    order = positions.masked_fill(positions == NEVER, -1).argsort(dim=1)[:, newest.start - newest.stop :]
    keys, values = (torch.take_along_dim(each, order[..., None, None], dim=1) for each in (keys, values))
    return keys, values
