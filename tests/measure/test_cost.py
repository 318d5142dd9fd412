"""Counted equals closed form, exactly, whatever the model, the text and the cache; and each form can be found wrong."""

from functools import cache as remember

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import mutate
from situations import by_form, counted, counted_once, examples, situations

import minigpt.measure.cost as cost
import minigpt.measure.flops as flops
import minigpt.measure.kv_cost as kv_cost
import minigpt.measure.kv_forms as kv_forms
import minigpt.measure.roofline as roofline
import minigpt.measure.trace
from minigpt.attention import sees
from minigpt.cache import CACHES
from minigpt.cache.storage import Storage
from minigpt.config import GPTConfig
from minigpt.measure.cost import Flops, cached_flops, decode_flops, seen_pairs, uncached_flops, weights
from minigpt.measure.flops import flops_of_shapes
from minigpt.measure.kv_cost import kv_cost_of_decode, kv_costs, total
from minigpt.measure.trace import Tracer
from minigpt.measure.traffic import Traffic

EXAMPLES = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", CACHES)
@EXAMPLES
@given(data=st.data())
def test_what_is_counted_is_what_the_closed_forms_say(name, data):
    this = data.draw(situations(name))
    assert counted(this) == by_form(this)


@pytest.mark.parametrize("name", CACHES)
def test_the_examples_for_the_mutants_agree(name):
    for this in examples():
        if this.name == name:
            assert counted_once(this) == by_form(this)


# What goes wrong: (where the form lives, its name, what stands there, what the bug makes of it).
MUTANTS = {
    "a product counts its multiplications only": (
        cost, "flops", "projections=2 *", "projections=1 *"),
    "attention lacks the product with V": (
        cost, "flops", "4 * config.n_layer", "2 * config.n_layer"),
    "attention is counted for the key heads only": (
        cost, "flops", "config.n_head *", "config.n_kv_head *"),
    "attention is counted for one layer": (
        cost, "flops", "4 * config.n_layer *", "4 *"),
    "the MLP's multiplications only": (
        cost, "flops", "mlp=2 *", "mlp=1 *"),
    "the head's multiplications only": (
        cost, "flops", "head=2 *", "head=1 *"),
    "keys and values are as many as queries": (
        cost, "projection_weights", "2 * config.n_kv_head", "2 * config.n_head"),
    "values are forgotten": (
        cost, "projection_weights", "2 * config.n_kv_head", "config.n_kv_head"),
    "the projection back is forgotten": (
        cost, "projection_weights", " + C * C", ""),
    "one layer of the MLP is forgotten": (
        cost, "mlp_weights", "2 * config.n_layer", "config.n_layer"),
    "the MLP is four times as wide as the model": (
        cost, "mlp_weights", "config.n_inner", "4 * config.n_embd"),
    "causal is not halved": (
        cost, "seen_pairs", "triangle(tokens) -", "tokens * tokens -"),
    "a token does not see itself": (
        cost, "seen_pairs", "triangle(tokens) -", "triangle(tokens - 1) -"),
    "a window is full attention": (
        cost, "seen_pairs", "triangle(lost)", "0"),
    "sinks are not seen": (
        cost, "seen_pairs", " - config.sinks", ""),
    "the window is one too wide": (
        cost, "seen_pairs", "tokens - config.window", "tokens - 1 - config.window"),
    "the sum of triangles stops too early": (
        cost, "tetrahedron", "(n + 2)", "(n + 1)"),
    "the sum of squares is a sum of triangles": (
        cost, "pyramid", "(2 * n + 1) // 6", "(n + 2) // 6"),
    "chunks attend to the whole prompt": (
        cost, "prefill_flops", "c * c * triangle(prompt // c)", "prompt // c * c * prompt"),
    "the last chunk is forgotten": (
        cost, "prefill_flops", " + prompt % c * prompt", ""),
    "a prefill makes all logits, asked for the last": (
        cost, "prefill_flops", '"last": 1', '"last": prompt'),
    "a ring is read as far as it is filled": (
        cost, "decode_flops", "tokens if slots is None else slots", "tokens"),
    "a decoded token sees what came before it only": (
        cost, "decode_flops", "seen_pairs(config, tokens) - seen_pairs(config, tokens - 1)", "tokens - 1"),
    "decode forgets the batch": (
        cost, "decode_flops", "flops(config, batch,", "flops(config, 1,"),
    "the last token is fed, too": (
        cost, "cached_flops", "prompt + new_tokens - 1, new_tokens - 1", "prompt + new_tokens, new_tokens"),
    "a generation forgets that its ring has all slots": (
        cost, "cached_flops", "if slots is None else steps * slots", ""),
    "causal decode is dense": (
        cost, "cached_flops", 'seen if attention == "causal" else dense', "dense"),
    "the first uncached step is forgotten": (
        cost, "uncached_flops", "prompt - 1\n", "prompt\n"),
    "an uncached step computes one token": (
        cost, "uncached_flops", "tokens = triangle(fed) - triangle(before)", "tokens = new_tokens"),
    "uncached causal is dense": (
        cost, "uncached_flops", 'attention == "causal"', "False"),
    "uncached, the window is not seen": (
        cost, "uncached_flops", " - lost", ""),
    "uncached, the sinks are not seen": (
        cost, "uncached_flops", "config.window + config.sinks", "config.window"),
    "H for K in bytes": (
        kv_forms.Fed, "numbers", "n_kv_head", "n_head"),
    "the batch has one row": (
        kv_forms.Fed, "numbers", "self.batch *", "1 *"),
    "keys without values": (
        kv_forms.Fed, "row", "2 *", "1 *"),
    "bytes of one layer": (
        kv_forms.Fed, "row", "self.config.n_layer *", "1 *"),
    "every number has four bytes": (
        kv_forms.Fed, "row", "self.itemsize", "4"),
    "what left the window is useful still": (
        kv_forms.Fed, "kept", "if window is None else", "if True else"),
    "what only the last query sees is useful": (
        kv_forms.Fed, "kept", "window - 1 + self.new", "window"),
    "the book is kept for nothing": (
        kv_forms, "none", "written=0", ""),
    "concat copies the new tokens, too": (
        kv_forms, "concat", "at.past * at.row", "at.end * at.row"),
    "growing is free": (
        kv_forms, "dynamic", "at.past * at.row", "0"),
    "each pass grows": (
        kv_forms, "dynamic", "if grows(at) else 0", ""),
    "room is what is needed": (
        kv_forms, "room", "first << (-(-tokens // first) - 1).bit_length()", "tokens"),
    "room doubles a token too early": (
        kv_forms, "room", "(-(-tokens // first) - 1)", "(tokens // first)"),
    "static is as long as the context": (
        kv_forms, "capacity", "config.context if max_cache_len is None else max_cache_len", "config.context"),
    "slots of one row": (
        kv_forms.Fed, "kept", "self.batch * slots", "slots"),
    "static is as long as the text": (
        kv_forms, "static", "capacity(at.config, max_cache_len)", "at.end"),
    "the ring is one slot short": (
        kv_forms, "ring_slots", "chunk) - 1", "chunk) - 2"),
    "the sinks take no slots": (
        kv_forms, "ring_slots", "config.sinks + ", ""),
    "a ring's empty slots are not read": (
        kv_forms, "sliding_window", "slots * at.row", "min(slots, at.end) * at.row"),
    "the ring takes in the prompt at once": (
        kv_forms, "ring_chunk", "config.window if chunk is None else chunk", "24"),
    "nothing is fetched again after growing": (
        kv_forms, "offloaded", "grows(at)", "False"),
    "the prefetch for the next pass is forgotten": (
        kv_forms, "down_the_ladder", "at.past + at.new", "at.past"),
    "a single layer is fetched at each pass": (
        kv_forms, "down_the_ladder", "if L > 1 else 0", ""),
    "all layers are here": (
        kv_forms, "down_the_ladder", "min(2, L)", "L"),
    "one layer goes down": (
        kv_forms, "down_the_ladder", "at.new * at.row", "at.new * layer"),
    "the residual is forgotten": (
        kv_forms, "quantized", " + (at.end - now * tokens) * exact", ""),
    "the residual is a token longer": (
        kv_forms, "quantized", "past - residual_length", "past - residual_length - 1"),
    "the scales are forgotten": (
        kv_forms, "quantized", " + numbers // sharing * parameters * at.itemsize", ""),
    "the zero-points are forgotten": (
        kv_forms, "quantized", "sharing * parameters", "sharing"),
    "a code takes a byte": (
        kv_forms, "quantized", "(nbits or bits) // 8", "1"),
    "rounding writes nothing": (
        kv_forms, "quantized", " + (now - old) * nbytes", ""),
    "rounded blocks stay where they are": (
        kv_forms, "quantized", " + (old * nbytes if now > old else 0)", ""),
    "the residual stays where it is": (
        kv_forms, "quantized", "(at.past - now * tokens) * exact", "0"),
    "keys are grouped as values are": (
        kv_forms, "quantized", "group_key or groups[0]", "group_value or groups[1]"),
    "a head shares a channel's scale": (
        kv_forms, "block", '"head": D', '"head": 1'),
    "a tensor's scale is each head's": (
        kv_forms, "block", "D * config.n_kv_head", "D"),
    "a prompt is never chunked": (
        kv_cost, "with_cache", "range(0, prompt, chunk)", "range(0, prompt, prompt)"),
    "without a cache a pass is fed the new token": (
        kv_cost, "without_cache", "(0, end)", "(end - 1, 1)"),
    "the ring's chunks are as long as one asks": (
        kv_cost, "kv_costs", "prompt, most, prompt", "prompt, prompt"),
}  # fmt: skip


def disagreement():
    return next((this for this in examples() if counted_once(this) != by_form(this)), None)


def mutate_form(monkeypatch, owner, name, old, new):
    mutate(monkeypatch, owner, name, old, new)
    if name in kv_forms.FORMS and owner is kv_forms:
        monkeypatch.setitem(kv_forms.FORMS, name, getattr(kv_forms, name))


@pytest.mark.parametrize("bug", MUTANTS)
def test_counting_catches(bug, monkeypatch):
    mutate_form(monkeypatch, *MUTANTS[bug])
    assert disagreement(), f"no count noticed that {bug}"


# The other way round: the forms notice what is wrong in counting. With namespaces that hold the original, too.
COUNTING_MUTANTS = {
    "what moved to grow is new": (
        Traffic, "into", "(kept, before)", "(kept, [])"),
    "what is not kept is counted": (
        Traffic, "into", "memory(to) in now and", ""),
    "what only the last query sees is useful": (
        Tracer, "admit", "seen.any(1)", "seen[:, -1]"),
    "the mask is not asked": (
        Tracer, "admit", "int(seen.sum())", "seen.numel()"),
    "a pass's head falls to the next": (
        Tracer, "admit", "    self.close()\n", ""),
    "growing in admit is not seen": (
        Tracer, "admit", "copied=[*copied]", "copied=[0 for _ in layers]"),
    "keys are read without values": (
        Tracer, "update", "k.nbytes + v.nbytes", "k.nbytes"),
    "up is down": (
        Tracer, "update", "up, down = (", "down, up = ("),
    "padding and the last token are rows": (
        Tracer, "update", "self.admitted", "1"),
    "projections are attention": (
        flops, "flops_of", "aten.bmm", "aten.addmm", [minigpt.measure.trace]),
    "the fused kernel, which counts nothing, is counted": (
        flops, "counting", "sdpa_kernel(SDPBackend.MATH), ", "", [minigpt.measure.trace]),
    "a prefetch counts as nothing": (
        Storage, "get", "up=self.written[layer]", "up=0"),
}  # fmt: skip


@pytest.mark.parametrize("bug", COUNTING_MUTANTS)
def test_the_closed_forms_catch(bug, monkeypatch):
    few = [this for this in examples() if this.name in ("dynamic", "offloaded", "quantized") and this.batch == 1][:7]
    assert all(counted_once(this) == by_form(this) for this in few)
    mutate(monkeypatch, *COUNTING_MUTANTS[bug])
    assert any(counted(this) != by_form(this) for this in few), f"no form noticed that {bug}"


def test_counting_lets_a_harmless_change_pass(monkeypatch):
    mutate_form(monkeypatch, cost, "triangle", "n * (n + 1)", "(n + 1) * n")
    mutate_form(monkeypatch, kv_forms, "dynamic", "at.past * at.row", "at.row * at.past")
    assert not disagreement()


GPT2 = GPTConfig(vocab_size=50257, context=1024, n_layer=12, n_head=12, n_embd=768)
PROMPT, NEW = 128, 512
STEPS = range(PROMPT, PROMPT + NEW)  # tokens of the text at each step; the last new token is never fed


@remember
def unit() -> Flops:
    """Counted: one token that attends to one slot, and its logits."""
    return flops_of_shapes(GPT2, new=1, slots=1, logit_rows=1)


def of_the_124_million(tokens, pairs, logit_rows) -> Flops:
    one = unit()
    return Flops(one.projections * tokens, one.attention * pairs, one.mlp * tokens, one.head * logit_rows)


@pytest.mark.parametrize("new", [PROMPT, STEPS[-1]])
def test_counts_of_the_gpt2_shape_are_proportional_to_tokens_pairs_and_logits(new):
    """512 steps without a cache can't be run here, and needn't: passes of the longest, the shortest and one token are
    counted whole, each is so many times the unit, and the sums below add up the steps."""
    assert flops_of_shapes(GPT2, new, slots=new, logit_rows=1) == of_the_124_million(new, new * new, 1)
    assert flops_of_shapes(GPT2, new, slots=new, logit_rows=new) == of_the_124_million(new, new * new, new)
    assert flops_of_shapes(GPT2, 1, slots=new, logit_rows=1) == of_the_124_million(1, new, 1)


@pytest.mark.parametrize(
    ("attention", "logits", "times"), [("causal", "last", 225), ("dense", "last", 235), ("causal", "all", 303)]
)
def test_gpt2_without_a_cache_takes_so_many_times_the_flops(attention, logits, times):
    """Prompt 128, 512 new tokens, by count and by closed form. torch counts dense attention; of the causal half the
    pairs are counted where the mask shows them."""
    place = torch.arange(STEPS[-1])[None]
    seen = sees(place, place)[0, 0].sum(-1).tolist()  # by each token
    dense = attention == "dense"
    without, cached = [], []
    for end in STEPS:
        rows = {"last": 1, "all": end}[logits]
        without.append(of_the_124_million(end, end * end if dense else sum(seen[:end]), rows))
        if end == PROMPT:
            cached.append(without[-1])
        else:
            cached.append(of_the_124_million(1, end if dense else seen[end - 1], 1))
    without, cached = sum(without, Flops()), sum(cached, Flops())
    ways = {"attention": attention, "logits": logits}
    assert without == uncached_flops(GPT2, PROMPT, NEW, **ways)
    assert cached == cached_flops(GPT2, PROMPT, NEW, **ways)
    assert round(without.total / cached.total) == times


@pytest.mark.parametrize(("new", "slots", "logit_rows"), [(7, 7, 1), (7, 7, 7), (1, 9, 1), (3, 9, 3)])
def test_shapes_alone_count_what_a_real_pass_counts(new, slots, logit_rows):
    config = GPTConfig(vocab_size=11, context=24, n_layer=2, n_head=4, n_kv_head=2, n_embd=16, n_inner=10)
    assert flops_of_shapes(config, new, slots, logit_rows, rows=2) == cost.flops(
        config, 2 * new, 2 * new * slots, 2 * logit_rows
    )


def test_gpt2_costs_what_the_rules_of_thumb_say():
    """2 P + 4 L H D s for a decoded token that sees s, P = 12 L C^2 + C V; 2 L K D b bytes a token."""
    P = 12 * 12 * 768**2 + 768 * 50257
    assert weights(GPT2) == P
    assert decode_flops(GPT2, 500, attention="dense").total == 2 * P + 4 * 12 * 768 * 500
    assert kv_costs("concat", GPT2, 1, 1, itemsize=2)[0].nbytes == roofline.kv_nbytes(GPT2, 2) == 36864
    assert seen_pairs(GPT2, 1000) == 1000 * 1001 // 2


def test_a_generation_holds_what_its_last_pass_holds_and_moves_what_all_moved():
    costs = kv_costs("dynamic", GPT2, 5, 100, itemsize=2)
    whole = total(costs)
    assert whole.nbytes == costs[-1].nbytes == 160 * 36864
    assert whole.copied == (160 - 5) * 36864  # the room at the end less the first
    assert whole.written == 104 * 36864
    assert total(kv_costs("concat", GPT2, 5, 100, itemsize=2)).copied == sum(range(5, 104)) * 36864


@pytest.mark.parametrize("name", CACHES)
def test_a_decode_step_costs_what_the_last_pass_of_its_generation_costs(name):
    config = GPTConfig(vocab_size=11, context=64, n_layer=2, n_head=8, n_kv_head=2, n_embd=64, window=10, sinks=2)
    options = {"residual_length": 5, "q_group_size": 4, "group_key": "channel"} if name == "quantized" else {}
    for tokens in range(8, 40):
        ways = {"itemsize": 2, "batch": 3, **options}
        assert (
            kv_cost_of_decode(name, config, tokens, prompt=6, **ways)
            == kv_costs(name, config, 6, tokens - 5, **ways)[-1]
        )


def test_decode_attention_does_two_flops_a_number_and_head_whatever_the_batch_and_the_length():
    gqa = GPTConfig(vocab_size=11, context=64, n_layer=2, n_head=8, n_kv_head=2, n_embd=64)
    for length in (1, 10, 60):
        read = kv_costs("concat", gqa, length, 1, itemsize=2)[0].read
        assert decode_flops(gqa, length, attention="dense").attention / read == 4
    assert roofline.decode_attention_intensity(gqa, itemsize=2) == 2 * (8 / 2) / 2
    assert roofline.decode_attention_intensity(GPT2, itemsize=2) == 1


def test_a_batch_raises_the_intensity_of_decode_towards_that_of_its_attention_and_the_weights():
    """One row: about a FLOP a byte, as every weight of 2 bytes serves one multiplication and addition."""
    one, many = (roofline.decode_intensity(GPT2, 100, itemsize=2, batch=batch) for batch in (1, 64))
    assert 0.95 < one < 1.05
    assert many > 30 * one
    assert roofline.prefill_intensity(GPT2, 1024, itemsize=2) > 500
    weights_alone = weights(GPT2) * 2
    assert roofline.decode_nbytes(GPT2, 100, itemsize=2, batch=3) == weights_alone + 3 * 101 * 36864
    assert roofline.prefill_nbytes(GPT2, 100, itemsize=2, batch=3) == weights_alone + 3 * 200 * 36864
    windowed = GPTConfig(vocab_size=11, context=64, n_layer=2, n_head=8, n_embd=64, window=10, sinks=2)
    reads = [roofline.decode_nbytes(windowed, length, itemsize=2) for length in (11, 12, 13, 60)]
    assert reads[0] < reads[1] == reads[2] == reads[3]


def test_the_slower_of_arithmetic_and_memory_decides():
    machine = {"flops_per_second": 100.0, "bytes_per_second": 10.0}
    assert roofline.least_seconds(1000, 10, **machine) == 10
    assert roofline.least_seconds(1000, 200, **machine) == 20
    with pytest.raises(ValueError, match="speeds must be above 0"):
        roofline.least_seconds(1, 1, flops_per_second=0, bytes_per_second=1)


def test_a_convention_or_a_cache_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="attention must be 'dense' or 'causal', got 'half'"):
        decode_flops(GPT2, 5, attention="half")
    with pytest.raises(ValueError, match="logits must be 'last' or 'all', got 'none'"):
        cached_flops(GPT2, 5, 5, attention="dense", logits="none")
    with pytest.raises(ValueError, match="no cost is known of a cache named 'magic'"):
        kv_costs("magic", GPT2, 5, 5, itemsize=2)
    with pytest.raises(ValueError, match="no form knows what requantize costs in quantized"):
        kv_costs("quantized", GPT2, 5, 5, itemsize=2, requantize=True)
    with pytest.raises(ValueError, match="a ring wants a window"):
        kv_costs("sliding_window", GPT2, 5, 5, itemsize=2)
    with pytest.raises(ValueError, match="has 7 tokens or more"):
        kv_cost_of_decode("dynamic", GPT2, 6, prompt=5, itemsize=2)
