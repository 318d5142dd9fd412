"""Caches of ours inside a model that transformers has cut over processes (tp_plan="auto"): as inside the whole one."""

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from start_processes import ended, together

transformers = pytest.importorskip("transformers", reason="pip install 'transformers>=5.24'")
pytest.importorskip("minigpt.interop", reason="pip install 'transformers>=5.24'", exc_type=ImportError)
pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
HERE = Path(__file__).parent
LAYERS, HEADS, HEAD_SIZE = 2, 4, 8


def test_a_model_that_transformers_has_cut_says_the_same_with_our_caches(tmp_path):
    config = transformers.AutoConfig.for_model(
        "llama",
        vocab_size=61,
        hidden_size=64,
        head_dim=HEAD_SIZE,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=HEADS,
        max_position_embeddings=64,
        **{"bos_token_id": None, "eos_token_id": None, "pad_token_id": None},
    )
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float64)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.2 * torch.randn_like(weights))  # so that rows and tokens differ
    model.save_pretrained(tmp_path)
    results = ended(together(2, HERE / "in_transformers.py", tmp_path))
    assert [code for code, _, _ in results] == [0, 0], results
    for _, out, _ in results:
        found = json.loads(out.splitlines()[-1])
        assert found["several"] == 2
        assert found["heads"] == [HEADS, HEADS // 2]
        assert set(found["off"]) == {"dynamic", "static", "offloaded", "offloaded_static"}
        assert all(off < 1e-10 for off in found["off"].values()), found
        assert all(found["same text"].values()), found
        a_token = 2 * LAYERS * HEADS * HEAD_SIZE * 8  # bytes in float64
        assert set(found["nbytes"].values()) == {a_token // 2}, found
