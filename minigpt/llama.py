"""Llama's architecture (Touvron et al., arXiv 2302.13971), with what Mistral, Qwen2 and Qwen3 added as options of its
config: RMSNorm, rotary positions, SwiGLU, grouped heads. Modules have transformers' own names."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minigpt.attention import attend, sees
from minigpt.cache import KVCache
from minigpt.language_model import LanguageModel
from minigpt.llama_config import LlamaConfig
from minigpt.llama_format import LlamaFormat
from minigpt.streaming import attend_apart, places_back
from minigpt.uninitialised import without_init

Turn = tuple[Float[Tensor, "B T 1 half"], Float[Tensor, "B T 1 half"]]  # cosines and sines, for half of D channels


class RMSNorm(nn.Module):
    """x over its root mean square (Zhang and Sennrich, arXiv 1910.07467), computed in float32 whatever x is, as in
    transformers: a float64 model is rounded here as well."""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        exact = x.float()
        return self.weight * (exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: LlamaConfig, layer: int):
        super().__init__()
        self.layer, self.window, self.sinks = layer, config.windows[layer], config.sinks
        C, H, K, D = config.n_embd, config.n_head, config.n_kv_head, config.head_size
        self.head_size = D
        self.q_proj = nn.Linear(C, H * D, bias=config.qkv_bias)
        self.k_proj = nn.Linear(C, K * D, bias=config.qkv_bias)
        self.v_proj = nn.Linear(C, K * D, bias=config.qkv_bias)
        self.o_proj = nn.Linear(H * D, C, bias=config.o_bias)
        self.q_norm: nn.Module = RMSNorm(D, config.rms_norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm: nn.Module = RMSNorm(D, config.rms_norm_eps) if config.qk_norm else nn.Identity()

    def qkv(self, x: Float[Tensor, "B T C"], turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, D), keys and values (B, T, K, D). Queries and keys are turned by position, and kept so."""
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, -1, self.head_size)
        k = self.k_proj(x).view(B, T, -1, self.head_size)
        v = self.v_proj(x).view(B, T, -1, self.head_size)
        return turned(self.q_norm(q), turn), turned(self.k_norm(k), turn), v

    def forward(self, x: Float[Tensor, "B T C"], positions, turn: Turn, back: Turn | None, cache: KVCache):
        q, k, v = self.qkv(x, turn)
        k, v, k_pos = cache.update(k, v, self.layer)  # a layer touches a cache here alone
        mask = None if k_pos is None else sees(positions, k_pos, self.window, self.sinks)
        if back is None or k_pos is None:
            return self.o_proj(self.attend(q, k, v, mask).flatten(2))
        return self.o_proj(attend_apart(q, turned(q, back), k, v, mask, k_pos, self.sinks).flatten(2))

    def attend(self, q, k, v, mask):  # by_positions of `parallel` puts another in its place
        return attend(q, k, v, mask)


class MLP(nn.Module):
    """SwiGLU (Shazeer, arXiv 2002.05202)."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.n_inner, bias=config.mlp_bias)
        self.up_proj = nn.Linear(config.n_embd, config.n_inner, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.n_inner, config.n_embd, bias=config.mlp_bias)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: LlamaConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(config.n_embd, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.n_embd, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x, positions, turn, back, cache):
        x = x + self.self_attn(self.input_layernorm(x), positions, turn, back, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(LanguageModel):
    """A Llama, Mistral, Qwen2 or Qwen3 language model."""

    config: LlamaConfig
    form = LlamaFormat()

    def __init__(self, config: LlamaConfig):
        super().__init__()
        if not isinstance(config, LlamaConfig):
            raise ValueError(f"Llama wants a LlamaConfig (or minigpt.load a name), got a {type(config).__name__}")
        self.config, self.frequencies = config, frequencies(config)  # no buffer: `.half()` would round it
        with without_init():  # the numbers that torch would draw are drawn anew below
            self.embed_tokens = nn.Embedding(config.vocab_size, config.n_embd)
            self.layers: Any = nn.ModuleList(Layer(config, layer) for layer in range(config.n_layer))
            self.norm = RMSNorm(config.n_embd, config.rms_norm_eps)
            self.head = self.embed_tokens if config.tied_head else nn.Linear(config.n_embd, config.vocab_size, False)
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)
            elif "norm" not in name:
                nn.init.normal_(weights, std=0.02)

    def hidden(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"] | None, cache: KVCache
    ) -> Float[Tensor, "B T C"]:
        cache.admit(positions, ids)
        positions = cache.positions[:, -ids.shape[1] :]
        x = self.embed_tokens(ids)
        turn = self.turn(positions, x.dtype)
        back = self.turn(places_back(positions, self.config), x.dtype) if self.config.streaming else None
        for layer in self.layers:
            x = layer(x, positions, turn, back, cache)
        return self.norm(x)

    def turn(self, positions: Int[Tensor, "B T"], dtype: torch.dtype) -> Turn:
        """In float32 whatever the model is, as in transformers (past all contexts too coarse), then in the dtype."""
        places = positions[:, :, None, None].to(torch.float64 if self.config.streaming else torch.float32)
        angles = places * self.frequencies.to(places.device)  # (B, T, 1, D / 2); padding is hidden, however turned
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def lm_head(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B V"]:
        return F.linear(x, self.head.weight)

    @property
    def attentions(self) -> list[Attention]:
        return [layer.self_attn for layer in self.layers]


def turned(x: Float[Tensor, "B T H D"], turn: Turn) -> Float[Tensor, "B T H D"]:
    """Rotary positions (Su et al., arXiv 2104.09864, section 3.2.2): channels d and d + D / 2 are a point of a plane,
    which is turned by its position times the plane's frequency. So q k depends on how far apart they stand alone."""
    (cos, sin), (a, b) = turn, x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def frequencies(config: LlamaConfig) -> Float[Tensor, " half"]:
    """By how much each plane turns from one position to the next, in radians; in float32, as in transformers."""
    D, scaling = config.head_size, config.rope_scaling
    each = 1 / config.rope_theta ** (torch.arange(0, D, 2, device="cpu").float() / D)
    if scaling is None:
        return each
    turns = scaling.context / (2 * math.pi / each)  # within the context that was trained
    share = (turns - scaling.low) / (scaling.high - scaling.low)
    between = (1 - share) * each / scaling.factor + share * each
    slowed = torch.where(turns < scaling.low, each / scaling.factor, between)
    return torch.where(turns > scaling.high, each, slowed)
