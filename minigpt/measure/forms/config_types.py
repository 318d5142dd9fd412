"""What a config.json leaves to its model type: keys that transformers fills in, other names, what can't be counted.

`types.json` has, for each type that is counted, the keys that its class in transformers knows, with their defaults:
real files leave these out. `tests/measure/causal_types.py` records it, with the version of transformers, and the tests
hold both to real caches.
"""

import json
from pathlib import Path

RECORDED = json.loads((Path(__file__).parent / "types.json").read_text(encoding="utf-8"))
TRANSFORMERS = RECORDED["transformers"]  # the version
# Types that transformers reads by code that comes with the model, and the sizes that this code knows.
REMOTE = {
    "baichuan": {},
    "chatglm": {"head_dim": None, "num_key_value_heads": None},
    "hf_olmo": {"num_key_value_heads": None},
    "qwen": {"head_dim": None},
}
LEAST = dict.fromkeys(("num_hidden_layers", "num_attention_heads", "hidden_size"))
TYPES = RECORDED["types"] | {kind: LEAST | own for kind, own in REMOTE.items()}
ALL_SLIDE = "all_slide"  # a key of types.json alone: whether all layers use the window, or none

# Names that a config may have for the same number.
LAYERS = "num_hidden_layers", "n_layer", "n_layers", "num_layers"
HEADS = "num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"
KV_HEADS = "num_key_value_heads", "num_kv_heads", "n_kv_heads", "multi_query_group_num"
WIDTH = "hidden_size", "n_embd", "n_embed", "d_model"
HEAD_SIZE = "head_dim", "kv_channels"
WINDOW = "sliding_window", "window_size"
EVERY = "sliding_window_pattern", "global_attn_every_n_layers"
SAME = LAYERS, HEADS, KV_HEADS, WIDTH, HEAD_SIZE, WINDOW, EVERY
# What a type that doesn't know it leaves unread.
SIZES = *(names[0] for names in SAME), "kv_lora_rank", "max_window_layers", "multi_query", "v_head_dim"
# A file may have several of these, and they may differ: the first counts.
CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_sequence_length",
    "seq_length",
    "model_max_length",
)

# Types that read all of a text at once unless the file says `is_decoder`.
ENCODERS = (
    *("bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert"),
    *("rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)

ENCODER = "an encoder, not a decoder: it keeps nothing from one token to the next"
TWO = "keys and values of an encoder beside those of the decoder"
STATE = "a state instead of keys and values"
HYBRID = "a state beside keys and values, or instead of them in some layers"
UNEQUAL = "layers of different sizes"
INDEX = "an index beside the keys"
AGAIN = "layers that run several times"
SHARED = "layers that share keys and values"
OTHERS = "layers that see the text in another way than whole or through a window"
NONE = "no cache of keys and values in transformers"
PROMPT = "a learned prompt before each text"
# What each type keeps that is not counted here.
REFUSED = {
    **dict.fromkeys(("albert", "deberta", "deberta-v2", "distilbert", "modernbert", "mpnet"), ENCODER),
    **dict.fromkeys(("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "led", "longt5", "m2m_100"), TWO),
    **dict.fromkeys(("marian", "mbart", "moshi", "mt5", "musicgen", "musicgen_melody", "mvp", "pegasus"), TWO),
    **dict.fromkeys(("plbart", "prophetnet", "t5", "trocr", "umt5", "whisper"), TWO),
    **dict.fromkeys(("falcon_mamba", "mamba", "mamba2", "rwkv", "xlstm"), STATE),
    **dict.fromkeys(("bailing_hybrid", "bamba", "falcon_h1", "granitemoehybrid", "inkling2_loop_text"), HYBRID),
    **dict.fromkeys(("inkling2_text", "inkling_text", "jamba", "kimi_linear", "lara_mini", "lfm2", "lfm2_moe"), HYBRID),
    **dict.fromkeys(("lfm3", "minimax", "nemotron_h", "olmo_hybrid", "qwen3_5", "qwen3_5_moe"), HYBRID),
    **dict.fromkeys(("qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp", "qwen4_exp_text"), HYBRID),
    **dict.fromkeys(("recurrent_gemma", "zamba", "zamba2", "zaya"), HYBRID),
    **dict.fromkeys(("axk2", "deepseek_v32", "dots3_note", "dots3_note_text", "glm_moe_dsa", "hy_v4"), INDEX),
    **dict.fromkeys(("minimax_m3_vl_text",), INDEX),
    **dict.fromkeys(("gemma4", "gemma4_assistant", "gemma4_text", "gemma4_unified"), UNEQUAL),
    **dict.fromkeys(("gemma4_unified_assistant", "gemma4_unified_text", "mimo_v2_flash"), UNEQUAL),
    **dict.fromkeys(("dory", "hrm_text", "longcat_flash"), AGAIN),
    **dict.fromkeys(("gemma3n", "gemma3n_text"), SHARED),
    **dict.fromkeys(("blt", "deepseek_v4", "llama4", "llama4_text", "reformer"), OTHERS),
    **dict.fromkeys(("openai-gpt", "xlm", "xlnet"), NONE),
    "cpmant": PROMPT,
    "modernbert-decoder": "windows whose width its local_attention says",
}
# Keys that tell the same of a type that is not known here, or of one that is counted otherwise.
NOT_COUNTED = {
    "add_cross_attention": TWO,
    "attention_chunk_size": "layers that see only their own chunk",
    "attn_layer_period": HYBRID,
    "attn_type_list": HYBRID,
    "block_configs": UNEQUAL,
    "block_types": HYBRID,
    "cross_attention_layers": "keys and values of images",
    "full_attention_interval": HYBRID,
    "global_head_dim": UNEQUAL,
    "hybrid_override_pattern": HYBRID,
    "index_head_dim": INDEX,
    "is_encoder_decoder": TWO,
    "layers_block_type": HYBRID,
    "mamba_d_state": HYBRID,
    "num_global_key_value_heads": UNEQUAL,
    "num_kv_shared_layers": SHARED,
    "num_loops": AGAIN,
    "per_layer_config": UNEQUAL,
    "ssm_cfg": STATE,
    "swa_num_key_value_heads": UNEQUAL,
    "use_bidirectional_attention": ENCODER,
}
