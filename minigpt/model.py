"""GPT-2's architecture (Radford et al., 2019), with grouped heads and windows as options of its config."""

import copy
import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minigpt.arguments import check_numbers, check_positions, known_cache
from minigpt.attention import attend, sees
from minigpt.cache import KVCache, NoCache
from minigpt.config import GPTConfig
from minigpt.from_transformers import speaks_transformers
from minigpt.generate import Generation
from minigpt.pretrained import Pretrained
from minigpt.uninitialised import without_init

if TYPE_CHECKING:
    from typing_extensions import Self


class Attention(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.layer, self.window, self.sinks = layer, config.windows[layer], config.sinks
        self.heads, self.head_size = [config.n_head, config.n_kv_head, config.n_kv_head], config.head_size
        self.c_attn = nn.Linear(config.n_embd, sum(self.heads) * config.head_size)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def qkv(self, x: Float[Tensor, "B T C"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, D), keys and values (B, T, K, D): all three in one product."""
        B, T, _ = x.shape
        return self.c_attn(x).view(B, T, -1, self.head_size).split_with_sizes(self.heads, dim=2)

    def forward(self, x: Float[Tensor, "B T C"], positions: Int[Tensor, "B T"], cache: KVCache):
        q, k, v = self.qkv(x)
        k, v, k_pos = cache.update(k, v, self.layer)  # a layer touches a cache here alone
        mask = None if k_pos is None else sees(positions, k_pos, self.window, self.sinks)
        return self.c_proj(attend(q, k, v, mask).flatten(2))


class MLP(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, config.n_inner)
        self.c_proj = nn.Linear(config.n_inner, config.n_embd)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x, positions, cache):
        x = x + self.attn(self.ln_1(x), positions, cache)
        return x + self.mlp(self.ln_2(x))


class GPT(Generation, Pretrained, nn.Module):
    """A GPT-2 language model. Its output head is the token embedding (tied)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        with without_init():  # the numbers that torch would draw are drawn anew below
            self.wte = nn.Embedding(config.vocab_size, config.n_embd)
            self.wpe = nn.Embedding(config.context, config.n_embd)
            self.h: Any = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
            self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)
            elif "ln_" in name:
                nn.init.ones_(weights)
            else:
                # The projections back into x are scaled down by its 2 L additions, as in GPT-2.
                nn.init.normal_(weights, std=0.02 / math.sqrt(2 * config.n_layer) if "c_proj" in name else 0.02)

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
        if positions is None and not (cache.plain and cache.length + T <= self.config.context):
            positions = (cache.next_position + torch.arange(T, device=ids.device)).expand(B, T)
        if positions is not None:
            check_positions(positions, ids, self.config.context)
        return self.lm_head(self.hidden(ids, positions, cache))

    if TYPE_CHECKING:  # nn.Module's would take anything

        def __call__(self, ids: Tensor, positions: Tensor | None = None, cache: KVCache | None = None) -> Tensor: ...

    def hidden(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"] | None, cache: KVCache
    ) -> Float[Tensor, "B T C"]:
        """The forward pass without its checks and its head."""
        cache.admit(positions, ids)  # refuses here, before anything has changed
        positions = cache.positions[:, -ids.shape[1] :]
        x = self.embed(ids, positions)
        for block in self.h:
            x = block(x, positions, cache)
        return self.ln_f(x)

    def embed(self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
        places = positions.clamp(max=self.config.context - 1)  # padding is hidden, whatever it is embedded as
        return self.wte(ids) + self.wpe(places)

    def lm_head(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B V"]:
        """Logits, by the token embedding itself."""
        return F.linear(x, self.wte.weight)

    def with_window(self, window: int | list[int | None], sinks: int = 0) -> "Self":
        """This model, seeing only the last `window` tokens (a list: of each layer) and the first `sinks`. It shares the
        weights.

        The learned positions are what they were: the text still ends at the context.
        """
        windowed = copy.deepcopy(self, {id(weights): weights for weights in self.parameters()})
        windowed.config = dataclasses.replace(self.config, window=window, sinks=sinks)
        for block, its_own in zip(windowed.h, windowed.config.windows, strict=True):
            block.attn.window, block.attn.sinks = its_own, sinks
        return windowed

    @property
    def dtype(self) -> torch.dtype:
        return self.wte.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.wte.weight.device
