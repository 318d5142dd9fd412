"""The shelves: keys and values of each layer, beside the book. What every cache but `none` has in common."""

import torch
from torch import Tensor

from minigpt.cache.base import CacheError
from minigpt.cache.book import Book
from minigpt.config import GPTConfig


class Cache(Book):
    """A book, and for each layer a shelf of keys and one of values, (B, slots, K, D).

    A kind of cache says how its shelves get room (`make_room`) and how they are written and read (`store`).

    slots: how many the shelves have from the start.
    config: of the model to be served. batch_size: rows of a batch. dtype, device: of the keys and
    values (None: torch's defaults).
    """

    slots = 0

    def __init__(self, config: GPTConfig, batch_size: int = 1, dtype=None, device=None):
        self.config = config
        self.heads = config.n_kv_head, config.head_size
        self.dtype = dtype or torch.get_default_dtype()
        super().__init__(batch_size, device)

    def store(self, k: Tensor, v: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Write the last chunk's keys and values of a layer (its slots end at `self.length`), return all there are."""
        raise NotImplementedError

    def reset(self):
        super().reset()
        self.layers_written = self.config.n_layer  # how many layers have written the last chunk
        layers = range(self.config.n_layer)
        self.keys = [self.zeros(self.slots, *self.heads, dtype=self.dtype) for _ in layers]
        self.values = [self.zeros(self.slots, *self.heads, dtype=self.dtype) for _ in layers]

    room = property(lambda self: self.keys[0].shape[1])

    def here(self, layer):
        return [self.keys[layer], self.values[layer]]

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for layer in range(self.config.n_layer) for kept in self.here(layer))

    def serve(self, model, batch_size):
        if model.training or torch.is_grad_enabled():
            what = "the model is in training mode" if model.training else "gradients are on"
            raise CacheError(
                f"a KV cache is for inference, and {what}: its keys and values come from earlier calls, and no "
                "gradient flows back to them. Call model.eval() and use torch.no_grad(), or train without a cache"
            )
        if model.config != self.config:
            raise CacheError(f"the cache was made for {self.config}, not for this model's {model.config}")
        if (model.dtype, model.device) != (self.dtype, self.device):
            raise CacheError(
                f"the cache keeps {self.dtype} on {self.device}, the model is {model.dtype} on {model.device}: "
                "make_cache(..., dtype=model.dtype, device=model.device)"
            )
        if batch_size != self.batch_size:
            raise CacheError(
                f"the cache was made for batch_size {self.batch_size}, got {batch_size} rows: "
                f"make_cache(..., batch_size={batch_size}), or select(rows)"
            )
        if self.layers_written < self.config.n_layer:
            raise CacheError(self.cut_short())

    def admit(self, positions, ids=None):
        if self.layers_written < self.config.n_layer:
            raise CacheError(self.cut_short())
        k_pos = super().admit(positions, ids)
        self.layers_written = 0
        return k_pos

    def update(self, k, v, layer):
        self.check_shelf(k, v, layer)
        k, v = self.store(k, v, layer)
        self.layers_written = layer + 1
        return k, v

    def crop(self, count):
        if self.layers_written < self.config.n_layer and -self.chunk < count <= 0:
            raise CacheError(f"crop({count}) would keep part of an unfinished chunk: {self.cut_short()}")
        super().crop(count)
        self.layers_written = self.config.n_layer

    def select(self, rows):
        rows = self.check_rows(rows)
        super().select(rows)
        with torch.inference_mode(False):
            self.keys = [shelf[rows] for shelf in self.keys]
            self.values = [shelf[rows] for shelf in self.values]

    def check_shelf(self, k, v, layer):
        """Keys and values must come layer after layer, in the shape and dtype that the shelves have."""
        if layer != self.layers_written:
            due = "admit" if self.layers_written == self.config.n_layer else f"layer {self.layers_written}"
            raise CacheError(f"update for layer {layer} out of turn: {due} comes next")
        wanted = (self.batch_size, self.chunk, *self.heads)
        for new in (k, v):
            if new.shape != wanted or new.dtype != self.dtype or new.device != self.device:
                if layer == 0:  # nothing of the chunk is written yet: take it out of the book again
                    self.crop(-self.chunk)
                raise CacheError(
                    f"the cache keeps {wanted} {self.dtype} on {self.device}, got {tuple(new.shape)} {new.dtype} "
                    f"on {new.device}: make_cache(..., dtype=model.dtype, device=model.device)"
                )

    def cut_short(self):
        return (
            f"the last forward pass stopped after {self.layers_written} of {self.config.n_layer} layers: "
            f"crop(-{self.chunk}) takes its tokens back"
        )
