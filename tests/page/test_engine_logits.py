"""The page's engine against torch: its weights, its logits, and the tokens that follow greedily."""

import hashlib
from itertools import chain

import pytest
import torch
from engine_asked import CLOSE, FED, NEEDS_NODE, TEXT, asked, followed, generated, is_noticed, mutant, prose

from minigpt.cache import NoCache
from minigpt.generate import next_logits

pytestmark = NEEDS_NODE

LENGTHS = 1, 7, 40, 90  # of the prompts, 25 each
NEW = 20

PROMPTS = [[prose(97 * i + 31 * length, length) for i in range(25)] for length in LENGTHS]  # a batch of each length

PROMPT_NAMES = [f"prompt {length} {i}" for length in LENGTHS for i in range(25)]

EXACT = "none", "dynamic", "none, windowed", "dynamic, windowed"
REQUESTS = {
    "weights": {"kind": "weights"},
    **{name: followed("dynamic", ids, len(ids)) for name, ids in zip(PROMPT_NAMES, chain(*PROMPTS), strict=True)},
    "greedy": {"kind": "generated", "requests": [generated("dynamic", ids, NEW) for ids in chain(*PROMPTS)]},
    "uncached": {"kind": "generated", "requests": [generated("none", ids, 6) for each in PROMPTS for ids in each[:2]]},
    **{f"followed {name}": followed(name, TEXT, FED) for name in EXACT},
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


def of_prompts(model, answers):
    """The logits behind the hundred prompts: the engine's, and torch's."""
    with torch.inference_mode():
        theirs = torch.cat([next_logits(model, torch.stack(batch), None, NoCache()) for batch in PROMPTS])
    return torch.tensor([answers[name][0] for name in PROMPT_NAMES]), theirs


def test_weights_are_float16_read_exactly(model, answers):
    for name, weights in model.named_parameters():
        digest = hashlib.sha256(weights.detach().contiguous().numpy().tobytes()).hexdigest()
        assert answers["weights"][name] == digest, name


def test_logits_are_torchs(model, answers):
    ours, theirs = of_prompts(model, answers)
    largest = (ours - theirs).abs().max().item()
    print(f"largest difference of a logit over {len(ours)} prompts: {largest:.1e}")
    assert 0 < largest < CLOSE


def test_the_same_tokens_follow_greedily(model, answers):
    """Where a token differs, torch's two best must be nearer than twice the largest difference of a logit."""
    ours, theirs = of_prompts(model, answers)
    noise = 2 * (ours - theirs).abs().max()
    ours = torch.tensor([[step["id"] for step in steps] for steps in answers["greedy"]])
    for batch, new in zip(PROMPTS, ours.split(25), strict=True):
        prompts, length = torch.stack(batch), len(batch[0])
        text = model.generate(prompts, max_new_tokens=NEW)
        with torch.inference_mode():
            every = model(text)[:, length - 1 : -1]
        best = every.topk(2).values
        for row, same in enumerate(text[:, length:] == new):
            parted = int(same.int().cumprod(0).sum())
            assert parted == NEW or best[row, parted, 0] - best[row, parted, 1] < noise


def test_uncached_the_text_is_the_same_to_the_bit(answers):
    cached = [answers["greedy"][25 * batch + i] for batch in range(4) for i in range(2)]
    for some, others in zip(answers["uncached"], cached, strict=True):
        assert [step["id"] for step in some] == [step["id"] for step in others[:6]]
    assert answers["followed none"] == answers["followed dynamic"]
    assert answers["followed none, windowed"] == answers["followed dynamic, windowed"]


def test_a_mutant_of_the_model_is_noticed(model, tmp_path):
    engine = mutant(tmp_path, "tensor", "0.044715", "0.0447")  # gelu's cube
    prompts = {name: REQUESTS[name] for name in PROMPT_NAMES}
    is_noticed(lambda answers: test_logits_are_torchs(model, answers), prompts, engine)
