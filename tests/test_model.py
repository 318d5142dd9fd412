"""The model itself: a window for each layer, and what people do with modules."""

import pytest
import torch
import torch.nn.functional as F
from helpers import SIZES, random_gpt, random_ids
from torch import nn

from minigpt.attention import NEVER
from minigpt.config import GPTConfig
from minigpt.model import GPT


def by_hand(gpt, ids, windows, sinks):
    """The logits, layer by layer, each through its own window: query t sees key s if t - window < s <= t."""
    T = ids.shape[1]
    t, s = torch.arange(T)[:, None], torch.arange(T)
    x = gpt.wte.weight[ids] + gpt.wpe.weight[:T]
    for block, window in zip(gpt.h, windows, strict=True):
        seen = (s <= t) & ((s > t - (window or T)) | (s < sinks))
        q, k, v = (each.transpose(1, 2) for each in block.attn.qkv(block.ln_1(x)))
        scores = q @ k.transpose(2, 3) / k.shape[-1] ** 0.5
        out = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ v
        x = x + block.attn.c_proj(out.transpose(1, 2).flatten(2))
        x = x + block.mlp(block.ln_2(x))
    return F.linear(gpt.ln_f(x), gpt.wte.weight)


@pytest.mark.parametrize(("windows", "sinks"), [([3, None], 0), ([None, 4], 2), ([7, 2], 0), ([5, 5], 1)])
def test_each_layer_sees_through_its_own_window(windows, sinks):
    gpt, ids = random_gpt(window=windows, sinks=sinks), random_ids(2, 20)
    with torch.no_grad():
        assert (gpt(ids) - by_hand(gpt, ids, windows, sinks)).abs().max() < 1e-10
        assert (gpt(ids) - by_hand(gpt, ids, windows[::-1], 0)).abs().max() > 1e-3 or windows == [5, 5]
        narrowed = random_gpt().with_window(windows, sinks)
        assert torch.equal(narrowed(ids), gpt(ids))


def test_windows_that_are_all_alike_are_one_window():
    assert GPTConfig(**SIZES, window=[6, 6]) == GPTConfig(**SIZES, window=6)
    assert GPTConfig(**SIZES, window=[None, None]) == GPTConfig(**SIZES)
    assert GPTConfig(**SIZES, window=[6, None]).windows == (6, None)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ([6], "one for each of 2 layers"),
        ([6, 0], "window must be a whole number, 1 or more, got 0"),
        ([6, True], "got True"),
        ([], "one for each of 2 layers"),
    ],
)
def test_windows_that_do_not_fit_are_refused(window, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig(**SIZES, window=window)


def test_it_is_made_of_plain_modules_under_gpt2s_names():
    gpt = random_gpt()
    kinds = {type(module) for module in gpt.modules() if not type(module).__module__.startswith("minigpt")}
    assert kinds == {nn.Linear, nn.LayerNorm, nn.Embedding, nn.ModuleList}
    assert {"wte.weight", "wpe.weight", "h.1.attn.c_attn.weight", "h.0.ln_2.bias", "ln_f.weight"} <= set(
        gpt.state_dict()
    )


def test_a_hook_on_a_layer_is_kept_by_a_model_with_a_window():
    gpt, seen = random_gpt(), []
    gpt.h[1].attn.c_proj.register_forward_hook(lambda module, given, out: seen.append(out.shape))
    with torch.no_grad():
        gpt.with_window(4)(random_ids(1, 9))
    assert seen == [(1, 9, SIZES["n_embd"])]


def test_the_weights_of_a_seed_are_what_they_were():
    """Torch's own first weights are not drawn, so the numbers of a seed are those of GPT-2's recipe alone, in order."""
    torch.manual_seed(5)
    gpt = GPT(GPTConfig(**SIZES))
    torch.manual_seed(5)
    std = 0.02 / (2 * SIZES["n_layer"]) ** 0.5
    for name, weights in gpt.named_parameters():
        if weights.ndim == 2:
            want = torch.empty_like(weights).normal_(std=std if "c_proj" in name else 0.02)
            assert torch.equal(weights, want), name


def test_padding_past_the_context_is_hidden_whatever_it_is_embedded_as():
    gpt, ids = random_gpt(), random_ids(1, 5)
    positions = torch.tensor([[NEVER, NEVER, 0, 1, 2]])
    with torch.no_grad():
        assert (gpt(ids, positions)[:, 2:] - gpt(ids[:, 2:])).abs().max() < 1e-10
