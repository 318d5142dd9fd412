"""What a config.json leaves to its model type: keys that transformers fills in, and rules of some types only."""

# What transformers fills in for a type whose file leaves a key out.
LEFT_OUT = {
    "cohere2": {"sliding_window": 4096, "sliding_window_pattern": 4},
    "gemma2": {
        "head_dim": 256,
        "max_position_embeddings": 8192,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "sliding_window": 4096,
        "sliding_window_pattern": 2,
    },
    "gemma3_text": {
        "head_dim": 256,
        "max_position_embeddings": 131072,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
    },
    "gpt_oss": {"sliding_window": 128, "sliding_window_pattern": 2},
    "mistral": {"num_key_value_heads": 8, "sliding_window": 4096},
    "qwen2": {"max_window_layers": 28, "sliding_window": 4096, "use_sliding_window": False},
    "qwen3": {"head_dim": 128, "max_window_layers": 28, "sliding_window": 4096, "use_sliding_window": False},
}
# Types that have as many key heads as query heads unless the file says otherwise.
MULTI_HEAD = "gpt2", "gpt_neox", "gptj", "llama", "opt", "phi", "phi3"
# Types in which a window, if there is one, applies to every layer.
ALL_WINDOWS = "mistral", "mixtral", "phi3", "phimoe", "starcoder2"

# Keys that change what is kept in a way that is not counted here.
NOT_COUNTED = {
    "attention_chunk_size": "layers that see only their own chunk",
    "attn_layer_period": "layers without attention",
    "attn_type_list": "layers without attention",
    "block_configs": "layers of different sizes",
    "cross_attention_layers": "keys and values of images",
    "full_attention_interval": "layers of linear attention",
    "global_head_dim": "layers of different sizes",
    "hybrid_override_pattern": "layers without attention",
    "index_head_dim": "an index beside the keys",
    "is_encoder_decoder": "keys and values of an encoder",
    "layers_block_type": "layers without attention",
    "mamba_d_state": "a state beside the keys",
    "num_global_key_value_heads": "layers of different sizes",
    "num_kv_shared_layers": "layers that share keys and values",
    "ssm_cfg": "a state instead of keys",
    "swa_num_key_value_heads": "layers of different sizes",
}
