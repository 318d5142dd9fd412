"""A GPT with a KV cache in 40 lines of plain PyTorch: cached equals uncached. (Random weights.)"""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attend

TOKENS, CONTEXT, C, HEADS, LAYERS = 50, 64, 32, 4, 3  # C: width
torch.set_default_dtype(torch.float64)
NOTHING = torch.zeros(2, 1, HEADS, 0, C // HEADS)  # keys, values (2, B, H, T, D) of no token


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.up, self.down = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)

    def forward(self, x, cache, layer):  # (B, T, C): the new tokens
        # queries, keys and values: (B, T, 3 C) -> (3, B, H, T, D)
        heads = self.qkv(self.ln_1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        k, v = cache[layer] = torch.cat([cache[layer], heads[1:]], dim=3)  # THE CACHE: old, new
        T, S = x.shape[1], k.shape[2]
        mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)  # a token looks only backwards
        x = x + self.out(attend(heads[0], k, v, mask).transpose(1, 2).flatten(2))
        return x + self.down(torch.relu(self.up(self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(TOKENS, C), nn.Embedding(CONTEXT, C)
        self.h, self.ln = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(C)

    def forward(self, ids, cache):  # (B, T) new tokens -> (B, T, V): what may come after each
        kept = cache[0].shape[3]  # tokens in the cache: positions go on behind them
        x = self.wte(ids) + self.wpe.weight[kept:][: ids.shape[1]]
        for layer, block in enumerate(self.h):
            x = block(x, cache, layer)
        return self.ln(x) @ self.wte.weight.T


with torch.no_grad():
    gpt, text, cache, rows = GPT(), torch.tensor([[3, 1, 4, 1, 5]]), [NOTHING] * LAYERS, 0
    for _ in range(24):
        uncached = gpt(text, [NOTHING] * LAYERS)[:, -1]  # an empty cache: all rows again
        cached = gpt(text[:, cache[0].shape[3] :], cache)[:, -1]  # the rows that it lacks
        assert torch.allclose(cached, uncached, atol=1e-12)
        rows += text.shape[1]
        text = torch.cat([text, cached.argmax(-1, keepdim=True)], dim=1)
print(f"The same scores at each step. Rows computed: {rows} without, {cache[0].shape[3]} with.")
