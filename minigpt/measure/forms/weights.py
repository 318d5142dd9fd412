"""How many weights a model multiplies by. L layers, C wide, H query heads and K key/value heads of D channels, an MLP
of width M, V tokens of vocabulary."""

from minigpt.config import Config


def projection_weights(config: Config) -> int:
    """L C 2 (H + K) D: to queries, keys and values, and back. 4 L C^2 where K = H, and H D = C."""
    return config.n_layer * config.n_embd * 2 * (config.n_head + config.n_kv_head) * config.head_size


def mlp_weights(config: Config) -> int:
    """2 L C M: 8 L C^2 where M = 4 C. Of a Llama, whose MLP has a gate, 3 L C M."""
    return config.mlp_products * config.n_layer * config.n_embd * config.n_inner


def head_weights(config: Config) -> int:
    return config.n_embd * config.vocab_size


def weights(config: Config) -> int:
    """All weights that are multiplied: 12 L C^2 + C V for GPT-2. A forward pass of any length reads each once."""
    return projection_weights(config) + mlp_weights(config) + head_weights(config)
