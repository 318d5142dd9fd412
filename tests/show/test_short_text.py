"""What compare says of a text that is too short to show what a cache does."""

import pytest
import torch

from minigpt.__main__ import main
from minigpt.cache.quantized import QuantizedCache
from minigpt.config import GPTConfig
from minigpt.measure.counted.run import run, served_by
from minigpt.model import GPT
from minigpt.show.short_text import short_text

MODEL = GPT(GPTConfig(vocab_size=50, context=400, n_layer=2, n_head=2, n_embd=128)).eval()
ROUNDING = ["quantized", "quantized_static"]


@pytest.mark.parametrize(("prompt", "new"), [(2, 20), (128, 1), (500 - 128, 2), (2, 128), (2, 129), (129, 1), (130, 2)])
def test_nothing_is_rounded_yet_where_a_run_has_rounded_nothing(prompt, new, monkeypatch):
    rounded, moved_on = [], QuantizedCache.moved_on

    def seen(self, codec, *tensors):
        exact, blocks = moved_on(self, codec, *tensors)
        rounded.append(codec.tokens_in(blocks))
        return exact, blocks

    monkeypatch.setattr(QuantizedCache, "moved_on", seen)
    run(MODEL, torch.ones(1, prompt, dtype=torch.int64), new, "quantized")
    said = short_text(MODEL, ["dynamic", *ROUNDING], prompt, new)
    assert said.fed == prompt + new - 1
    assert said.exact == ({} if any(rounded) else dict.fromkeys(ROUNDING, 128))


@pytest.mark.parametrize("fed", [130, 131])
def test_a_ring_is_told_where_it_has_more_slots_than_there_were_tokens(fed):
    """A window of 64, 63 slots more for a chunk, and 4 sinks."""
    told = short_text(MODEL, ["static", "sliding_window", "quantized_static"], 2, fed - 1)
    assert told.slots == ({"sliding_window": 131} if fed < 131 else {})
    held = run(
        served_by("sliding_window", MODEL), torch.ones(1, 2, dtype=torch.int64), fed - 1, "sliding_window"
    ).nbytes
    assert held == 131 * 2 * 2 * 128 * 4, "keys and values of two layers in float32"


@pytest.mark.parametrize(("prompt", "new", "short"), [("To be", 9, True), ("To be, or not to be" * 25, 9, False)])
def test_compare_says_so_beside_its_tables_only_where_it_is_so(prompt, new, short, capsys):
    assert main(["--prompt", prompt, "--new-tokens", str(new), "--questions", "0"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert ("quantized has rounded nothing yet: it keeps the newest 128 tokens exact." in out) == short
    assert ("quantized rounds old tokens; the newest stay exact." in out) == (not short)
    assert ("sliding_window had its 131 slots from the start, for 10 tokens." in out) == short
    assert ("slots from the start" in out) == short
