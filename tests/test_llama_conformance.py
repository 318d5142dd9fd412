"""The conformance suite on a Llama: every cache with every rule, keys kept as they were turned."""

import pytest
import torch
from helpers import spread
from torch import nn

from minigpt import llama
from minigpt.attention import NEVER
from minigpt.cache import NoCache
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.proof import oracles, situations
from minigpt.proof.oracles import DEFAULTS, OPTIONS, rounded_for
from minigpt.proof.rounding import rounded, span
from minigpt.proof.situations import HEADS, PADDING, long_model, long_pairs, model, pairs, text
from minigpt.proof.suite import all_checks
from minigpt.proof.texts import long_schedule_equals_uncached, schedule_equals_uncached

SIZES = "vocab_size", "context", "n_layer", "n_head", "n_kv_head", "n_embd", "window", "sinks"
SHARED = "rule", "attention"  # checks that no model takes part in
CASES = [case for case in all_checks() if case[0] not in (*SHARED, "schedule", "long text")]
# Each cache and rule meets each kind of head, padding and schedule, if not each of their combinations.
SCHEDULES = ["one prefill", "chunks of 1", "chunks of 7", "mixed"]
IN_PIECES = [
    (*pair, [*HEADS][at % 2], padding, schedule)
    for pair in pairs()
    for padding in PADDING
    for at, schedule in enumerate(SCHEDULES)
]


def random_llama(config, **more) -> Llama:
    """Of the sizes of that GPT, with all that a Llama can have, and more. Norms are computed in float64, not rounded to
    float32 as usual: of two sums that differ in the last bit, one may be rounded up and the other down."""
    sizes = {name: getattr(config, name) for name in SIZES}
    its_own = {"n_inner": 40, "head_size": 16, "rope_theta": 100.0, "qkv_bias": True, "qk_norm": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llama, "RMSNorm", nn.RMSNorm)
        return spread(Llama(LlamaConfig(**sizes | its_own | more)).double(), seed=7, std=0.4)


class ReadingRounded(NoCache):
    """The oracle of a cache that rounds, for any model: each query is shown four slots a token, with its key and its
    value exact or rounded, three of which are hidden from it."""

    def __init__(self, history, options):
        super().__init__()
        self.history, self.options = history, options

    def update(self, k, v, layer):
        options, pads, T = self.options, self.positions == NEVER, k.shape[1]
        how = options["backend"], options["nbits"], options["q_group_size"]
        read, both = [], []
        for x, group in ((k, options["group_key"]), (v, options["group_value"])):
            counts = rounded_for(self.history, span(group, how[2], k.shape[-1]), options["residual_length"])
            read.append(torch.arange(T) < torch.tensor(counts)[:, None])  # (T, T): by each query, of each token
            both.append((x, rounded(x, pads, group, *how)))
        slots = [(at, of) for at in (0, 1) for of in (0, 1)]
        shown = torch.cat([(read[0] == at) & (read[1] == of) for at, of in slots], dim=1)
        keys, values = (torch.cat([both[i][slot[i]] for slot in slots], dim=1) for i in (0, 1))
        return keys, values, self.positions.repeat(1, 4)[:, None].masked_fill(~shown, NEVER)


def reading_rounded(gpt, ids, positions, history, options):
    return gpt(ids, positions, ReadingRounded(history, {**DEFAULTS, **options}))


@pytest.fixture(scope="module", autouse=True)
def _of_a_llama():
    """The suite's models are Llamas, and its oracle of what rounds is one for any model."""
    remembered = model, long_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(situations, "random_model", random_llama)
        for name in [*oracles.ORACLES]:
            patch.setitem(oracles.ORACLES, name, reading_rounded)
        for each in remembered:
            each.cache_clear()
        yield
    for each in remembered:
        each.cache_clear()


@pytest.mark.parametrize(
    ("check", "arguments"),
    [pytest.param(check, args, id="-".join([name, *map(str, args)])) for name, check, args in CASES],
)
def test_conformance(check, arguments):
    check(*arguments)


@pytest.mark.parametrize(("name", "rule", "heads", "padding", "schedule"), IN_PIECES)
def test_a_text_in_pieces_equals_the_uncached_one(name, rule, heads, padding, schedule):
    schedule_equals_uncached(name, rule, heads, padding, schedule)


@pytest.mark.parametrize(("name", "rule"), long_pairs())
def test_a_long_text_equals_the_uncached_one(name, rule):
    long_schedule_equals_uncached(name, rule, "from edge to edge")


def test_it_is_a_llama_that_is_proved():
    assert type(model()) is type(long_model("full")) is Llama


def test_the_oracle_sees_every_token():
    """And where it stands: with two tokens exchanged, the last logits are others."""
    ids, positions = text([0], 12)
    with torch.no_grad():
        want = model()(ids, positions)[0, -1]
        for column in range(11):
            changed = ids.clone()
            changed[0, column] = (changed[0, column] + 1) % 53
            assert (model()(changed, positions)[0, -1] - want).abs().max() > 1e-3, f"token {column}"
            swapped = ids.clone()
            swapped[0, [column, column + 1]] = ids[0, [column + 1, column]]
            moved = (model()(swapped, positions)[0, -1] - want).abs().max()
            assert moved > 1e-4 or ids[0, column] == ids[0, column + 1] or column == 10, f"place of token {column}"


@pytest.mark.parametrize("options", [OPTIONS["quantized"], {"q_group_size": 4, "residual_length": 2}], ids=str)
@torch.no_grad()
def test_the_oracle_for_any_model_is_that_of_the_gpt(options):
    """Which is written by hand, block by block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(situations, "random_model", ORIGINAL)
        model.cache_clear()
        gpt, (ids, positions) = model("window with sinks", "GQA"), text([0, 3], 30)
        model.cache_clear()
    history = [12, 5, *[1] * 13]
    want = oracles.uncached_reading_rounded(gpt, ids, positions, history, options)
    got = reading_rounded(gpt, ids, positions, history, options)
    assert (got - want)[positions != NEVER].abs().max() < 1e-10
    assert (got - gpt(ids, positions))[positions != NEVER].abs().max() > 1e-4, "or nothing was rounded"


ORIGINAL = situations.random_model
