"""GPT-2's architecture (Radford et al., 2019), with grouped heads and windows as options of its config."""

import copy
import dataclasses
import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minigpt.attention import NEVER, attend, sees
from minigpt.cache import KVCache, NoCache
from minigpt.config import GPTConfig
from minigpt.generate import generate
from minigpt.pretrained import from_pretrained, save_pretrained


class Attention(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.layer, self.head_size = layer, config.head_size
        self.heads = [config.n_head, config.n_kv_head, config.n_kv_head]  # of queries, keys, values
        self.c_attn_weight = parameter(sum(self.heads) * config.head_size, config.n_embd)  # all three in one product
        self.c_attn_bias = parameter(sum(self.heads) * config.head_size)
        self.c_proj_weight = parameter(config.n_embd, config.n_embd)
        self.c_proj_bias = parameter(config.n_embd)

    def forward(self, x, mask, cache):
        p = self._parameters  # an nn.Module's attributes are looked up by a detour: a tenth of a small model's time
        B, T, C = x.shape
        qkv = F.linear(x, p["c_attn_weight"], p["c_attn_bias"]).view(B, T, -1, self.head_size)
        q, k, v = qkv.split_with_sizes(self.heads, dim=2)  # (B, T, H, D), (B, T, K, D), (B, T, K, D)
        k, v = cache.update(k, v, self.layer)  # (B, S, K, D): the only line that touches a cache
        return F.linear(attend(q, k, v, mask).reshape(B, T, C), p["c_proj_weight"], p["c_proj_bias"])


class MLP(nn.Module):
    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc_weight = parameter(config.n_inner, config.n_embd)
        self.c_fc_bias = parameter(config.n_inner)
        self.c_proj_weight = parameter(config.n_embd, config.n_inner)
        self.c_proj_bias = parameter(config.n_embd)

    def forward(self, x):
        p = self._parameters
        x = F.gelu(F.linear(x, p["c_fc_weight"], p["c_fc_bias"]), approximate="tanh")
        return F.linear(x, p["c_proj_weight"], p["c_proj_bias"])


class Block(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.width, self.eps = (config.n_embd,), config.layer_norm_epsilon
        self.ln_1_weight, self.ln_1_bias = parameter(config.n_embd), parameter(config.n_embd)
        self.attn = Attention(config, layer)
        self.ln_2_weight, self.ln_2_bias = parameter(config.n_embd), parameter(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x, mask, cache):
        p = self._parameters
        x = x + self.attn(torch.layer_norm(x, self.width, p["ln_1_weight"], p["ln_1_bias"], self.eps), mask, cache)
        return x + self.mlp(torch.layer_norm(x, self.width, p["ln_2_weight"], p["ln_2_bias"], self.eps))


class GPT(nn.Module):
    """A GPT-2 language model. Its output head is the token embedding (tied)."""

    from_pretrained = classmethod(from_pretrained)
    save_pretrained = save_pretrained
    generate = generate

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.wte_weight = parameter(config.vocab_size, config.n_embd)
        self.wpe_weight = parameter(config.context, config.n_embd)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f_weight, self.ln_f_bias = parameter(config.n_embd), parameter(config.n_embd)
        for name, weights in self.named_parameters():
            if name.endswith("_bias"):
                nn.init.zeros_(weights)
            elif "ln_" in name:
                nn.init.ones_(weights)
            else:
                # The projections back into x are scaled down by its 2 L additions, as in GPT-2.
                nn.init.normal_(weights, std=0.02 / math.sqrt(2 * config.n_layer) if "c_proj" in name else 0.02)

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        positions: Int[Tensor, "B T"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `ids`.

        positions: (B, T); by default they go on from what the cache holds. NEVER marks padding.
        cache: holds the tokens before `ids`, and takes these in. None: no cache.
        Raises ValueError or CacheError before anything has changed.
        """
        cache = NoCache() if cache is None else cache
        self._check("ids", ids, self.config.vocab_size)
        B, T = ids.shape
        cache.serve(self, B)
        if positions is None:
            positions = (cache.next_position + torch.arange(T, device=ids.device)).expand(B, T)
        self._check("positions", positions.masked_fill(positions == NEVER, 0), self.config.context, ids.shape)
        return self.lm_head(self.hidden(ids, positions, cache))

    def hidden(self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"], cache: KVCache) -> Float[Tensor, "B T C"]:
        """The forward pass without its checks and its head."""
        k_pos = cache.admit(positions, ids)  # refuses here, before anything has changed
        mask = sees(positions, k_pos, self.config.window, self.config.sinks)
        if mask.all():
            mask = None  # it hides nothing (as when one token is decoded), and without one the kernel is faster
        return self.through_blocks(self.embed(ids, positions), mask, cache)

    def embed(self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
        p = self._parameters
        places = positions.clamp(max=self.config.context - 1)  # padding is hidden, whatever it is embedded as
        return F.embedding(ids, p["wte_weight"]) + F.embedding(places, p["wpe_weight"])

    def through_blocks(
        self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B 1 T S"] | None, cache: KVCache
    ) -> Float[Tensor, "B T C"]:
        """All blocks, and the last norm. mask: which of the cache's slots each token sees; None: all."""
        for block in self.blocks:
            x = block(x, mask, cache)
        p = self._parameters
        return torch.layer_norm(x, x.shape[-1:], p["ln_f_weight"], p["ln_f_bias"], self.config.layer_norm_epsilon)

    def lm_head(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B V"]:
        """Logits, by the token embedding itself."""
        return F.linear(x, self.wte_weight)

    def with_window(self, window: int, sinks: int = 0) -> "GPT":
        """This model, seeing only the last `window` tokens and the first `sinks`. It shares the weights.

        The learned positions are what they were: the text still ends at the context.
        """
        windowed = copy.copy(self)
        windowed.config = dataclasses.replace(self.config, window=window, sinks=sinks)
        return windowed

    @property
    def dtype(self) -> torch.dtype:
        return self.wte_weight.dtype

    @property
    def device(self) -> torch.device:
        return self.wte_weight.device

    def _check(self, name, numbers, end, shape=None):
        if numbers.ndim != 2 or numbers.dtype != torch.int64 or not numbers.numel():
            got = f"{numbers.dtype} {tuple(numbers.shape)}"
            raise ValueError(f"{name} must be int64 of shape (B, T), with at least one token, got {got}")
        if shape is not None and numbers.shape != shape:
            raise ValueError(f"{name} must have the shape of ids, {tuple(shape)}, got {tuple(numbers.shape)}")
        low, high = (bound.item() for bound in numbers.aminmax())
        if low < 0 or high >= end:
            limit = {"ids": "the vocabulary", "positions": "the context, whose positions were learned"}[name]
            raise ValueError(f"{name} must lie in 0 ... {end - 1} ({limit}), got {low} ... {high}")


def parameter(*shape: int) -> nn.Parameter:
    """Room for numbers that `GPT` sets."""
    return nn.Parameter(torch.empty(shape))
