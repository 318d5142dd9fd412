"""GPT-2's architecture (Radford et al., 2019), with grouped heads and windows as options of its config."""

import math
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minigpt.attention import attend, sees
from minigpt.cache import KVCache
from minigpt.config import GPTConfig
from minigpt.gpt2_format import GPT2Format
from minigpt.language_model import LanguageModel
from minigpt.uninitialised import without_init


class Attention(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        self.layer, self.window, self.sinks = layer, config.windows[layer], config.sinks
        self.heads, self.head_size = [config.n_head, config.n_kv_head, config.n_kv_head], config.head_size
        self.c_attn = nn.Linear(config.n_embd, sum(self.heads) * config.head_size)
        self.c_proj = nn.Linear(config.n_head * config.head_size, config.n_embd)

    def qkv(self, x: Float[Tensor, "B T C"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, D), keys and values (B, T, K, D): all three in one product."""
        B, T, _ = x.shape
        return self.c_attn(x).view(B, T, -1, self.head_size).split_with_sizes(self.heads, dim=2)

    def forward(self, x: Float[Tensor, "B T C"], positions: Int[Tensor, "B T"], cache: KVCache):
        q, k, v = self.qkv(x)
        k, v, k_pos = cache.update(k, v, self.layer)  # a layer touches a cache here alone
        mask = None if k_pos is None else sees(positions, k_pos, self.window, self.sinks)
        return self.c_proj(self.attend(q, k, v, mask).flatten(2))

    def attend(self, q, k, v, mask):  # by_positions of `parallel` puts another in its place
        return attend(q, k, v, mask)


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


class GPT(LanguageModel):
    """A GPT-2 language model. Its output head is the token embedding (tied)."""

    config: GPTConfig
    form = GPT2Format()

    def __init__(self, config: GPTConfig):
        super().__init__()
        if not isinstance(config, GPTConfig):
            raise ValueError(f"GPT wants a GPTConfig (or GPT.from_pretrained a name), got a {type(config).__name__}")
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

    def hidden(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"] | None, cache: KVCache
    ) -> Float[Tensor, "B T C"]:
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

    @property
    def attentions(self) -> list[Attention]:
        return [block.attn for block in self.h]
