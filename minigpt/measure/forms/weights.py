"""How many weights a GPT multiplies by. L layers, C wide, H query heads and K key/value heads of D channels, an MLP of
width M, V tokens of vocabulary."""

from minigpt.config import GPTConfig


def projection_weights(config: GPTConfig) -> int:
    """L (C (H + 2 K) D + C C): to queries, keys and values, and back. 4 L C^2 where K = H."""
    C = config.n_embd
    return config.n_layer * (C * (config.n_head + 2 * config.n_kv_head) * config.head_size + C * C)


def mlp_weights(config: GPTConfig) -> int:
    """2 L C M. 8 L C^2 where M = 4 C."""
    return 2 * config.n_layer * config.n_embd * config.n_inner


def head_weights(config: GPTConfig) -> int:
    return config.n_embd * config.vocab_size


def weights(config: GPTConfig) -> int:
    """All weights that are multiplied: 12 L C^2 + C V for GPT-2. A forward pass of any length reads each once."""
    return projection_weights(config) + mlp_weights(config) + head_weights(config)
