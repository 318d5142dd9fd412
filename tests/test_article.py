"""The snippet of transformers' users: a prompt, no cache, then each `cache_implementation`. One import is changed."""

import pytest
import torch
import transformers

from minigpt import GPT
from minigpt.cache import CACHES
from minigpt.pretrained import model_folder

# As it stands for transformers, with a folder for the model's name.
SNIPPET = """
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(FOLDER, padding_side="left")
model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.bfloat16).to("cpu")
inputs = tokenizer("A list of colors: red, blue", return_tensors="pt").to(model.device)
out = model.generate(**inputs, do_sample=False, max_new_tokens=20, **HOW)
text = tokenizer.batch_decode(out, skip_special_tokens=True)[0]
"""
THEIRS = "from transformers import AutoModelForCausalLM, AutoTokenizer"
OURS = "from transformers import AutoTokenizer\nfrom minigpt import GPT as AutoModelForCausalLM"

# So short a text is not rounded: that these options are taken is tested here, what they do in tests/test_peers.py.
HOW = {
    "use_cache=False": {"use_cache": False},
    "nothing": {},
    **{name: {"cache_implementation": name} for name in CACHES if name not in ("none", "sliding_window")},
    "sliding_window": {"cache_implementation": "sliding_window", "cache_config": {"window": 512}},
    "quanto": {"cache_implementation": "quantized", "cache_config": {"backend": "quanto", "nbits": 4}},
    "hqq": {
        "cache_implementation": "quantized",
        "cache_config": {"backend": "hqq", "nbits": 4, "axis_key": 1, "axis_value": 1},
    },
}


def run(snippet, how):
    names = {"FOLDER": str(model_folder("recall")), "HOW": how}
    exec(snippet, names)  # noqa: S102
    return names["out"], names["text"]


@pytest.mark.parametrize("how", HOW)
def test_it_runs_with_one_import_changed(how):
    """In bfloat16 a near tie may flip a greedy token: each one chosen is within the format's rounding of the best."""
    out, text = run(SNIPPET.replace(THEIRS, OURS), HOW[how])
    assert text.startswith("A list of colors: red, blue")
    assert out.shape == (1, 13 + 20)
    with torch.no_grad():
        exact = GPT.from_pretrained("recall", dtype=torch.float64)(out)[:, 12:-1]
    chosen = exact.gather(2, out[:, 13:, None])[..., 0]
    assert ((exact.amax(-1) - chosen) / exact.abs().amax(-1)).max() < 32 * torch.finfo(torch.bfloat16).eps


@pytest.mark.parametrize("how", ["use_cache=False", "nothing", "dynamic", "static"])
def test_in_float64_the_text_is_that_of_the_snippet_as_it_stood(how):
    snippet = SNIPPET.replace("bfloat16", "float64")
    mine, _ = run(snippet.replace(THEIRS, OURS), HOW[how])
    transformers.logging.disable_progress_bar()
    theirs, _ = run(snippet, HOW[how] | {"pad_token_id": 0})
    assert torch.equal(mine, theirs)


@pytest.mark.parametrize("how", HOW)
def test_left_padding_changes_no_row_in_float64(how):
    gpt = GPT.from_pretrained("recall", dtype=torch.float64)
    long, short = (
        torch.randint(1024, (1, 13), generator=torch.Generator().manual_seed(0)),
        torch.tensor([[5, 279, 655]]),
    )
    options = {"max_new_tokens": 20, **HOW[how]}
    both = torch.cat([long, torch.cat([torch.zeros(1, 10, dtype=torch.int64), short], dim=1)])
    mask = torch.ones_like(both)
    mask[1, :10] = 0
    out = gpt.generate(both, attention_mask=mask, **options)
    assert torch.equal(out[:1], gpt.generate(long, **options))
    assert torch.equal(out[1:, 10:], gpt.generate(short, **options))
