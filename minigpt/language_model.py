"""What both models have in common: the checked forward pass, a window, where the weights are."""

import copy
import dataclasses
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minigpt.arguments import check_numbers, check_positions, known_cache
from minigpt.cache import KVCache, NoCache
from minigpt.config import Config
from minigpt.from_transformers import speaks_transformers
from minigpt.generate import Generation
from minigpt.pretrained import Pretrained

if TYPE_CHECKING:
    from typing_extensions import Self


class LanguageModel(Generation, Pretrained, nn.Module):
    """A model says what its `hidden` and its `lm_head` are, and which of its modules are `attentions`."""

    config: Config
    part_of: tuple[int, int] = 0, 1  # which part of a text, and of how many, its cache keeps (see by_positions)

    @speaks_transformers
    def forward(
        self,
        ids: Int[Tensor, "B T"],
        positions: Int[Tensor, "B T"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `ids`.

        positions: (B, T); by default they go on from what the cache holds. NEVER marks padding.
        cache: holds the tokens before `ids`, and takes these in. None: no cache.
        Raises ValueError or CacheError before anything has changed, or with what takes it back.
        """
        cache = NoCache() if cache is None else known_cache(cache)
        check_numbers("ids", ids, self.config.vocab_size, "the vocabulary")
        B, T = ids.shape
        cache.serve(self, B)
        # The cache counts on by itself where rows are plain, and then only the end can be wrong.
        if positions is None and not (cache.plain and cache.length + T <= self.config.longest):
            positions = (cache.next_position + torch.arange(T, device=ids.device)).expand(B, T)
        if positions is not None:
            check_positions(positions, ids, self.config.longest)
        return self.lm_head(self.hidden(ids, positions, cache))

    if TYPE_CHECKING:  # nn.Module's would take anything

        def __call__(self, ids: Tensor, positions: Tensor | None = None, cache: KVCache | None = None) -> Tensor: ...

    def hidden(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"] | None, cache: KVCache
    ) -> Float[Tensor, "B T C"]:
        """The forward pass without its checks and its head. Admits the tokens, which may be refused, before anything
        has changed."""
        raise NotImplementedError

    def lm_head(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B V"]:
        """Logits."""
        raise NotImplementedError

    @property
    def attentions(self) -> list:
        """The attention of each layer, in order: each has a `window` and `sinks`."""
        raise NotImplementedError

    def with_window(self, window: int | list[int | None], sinks: int = 0, streaming: bool = False) -> "Self":
        """This model, seeing only the last `window` tokens (a list: of each layer) and the first `sinks`. It shares the
        weights.

        The positions are what they were, and the text still ends at the context; unless they are counted among the
        tokens that are seen (streaming; see `Config`).
        """
        windowed = copy.deepcopy(self, {id(weights): weights for weights in self.parameters()})
        windowed.config = dataclasses.replace(self.config, window=window, sinks=sinks, streaming=streaming)
        for attention, its_own in zip(windowed.attentions, windowed.config.windows, strict=True):
            attention.window, attention.sinks = its_own, sinks
        return windowed

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device
