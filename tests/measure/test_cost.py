"""Counted equals closed form, exactly, whatever the model, the text and the cache; and each form can be found wrong."""

from dataclasses import replace
from functools import cache as remember

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import mutate
from situations import by_form, counted, counted_once, examples, situations

import minigpt.measure.counted.flops as flops
import minigpt.measure.counted.trace
import minigpt.measure.forms.architecture as architecture
import minigpt.measure.forms.caches as caches
import minigpt.measure.forms.flops as cost
import minigpt.measure.forms.generation as generation
import minigpt.measure.forms.pairs as pairs
import minigpt.measure.forms.quantized as quantized
import minigpt.measure.forms.roofline as roofline
import minigpt.measure.forms.sums as sums
import minigpt.measure.forms.weights as weights_of
from minigpt.attention import sees
from minigpt.cache import CACHES
from minigpt.cache.offloaded.storage import Storage
from minigpt.config import GPTConfig
from minigpt.measure.counted.flops import flops_of_shapes
from minigpt.measure.counted.trace import Tracer
from minigpt.measure.counted.traffic import Traffic
from minigpt.measure.forms.flops import Flops, cached_flops, decode_flops, uncached_flops
from minigpt.measure.forms.forward_pass import ForwardPass
from minigpt.measure.forms.generation import kv_cost_of_decode, kv_costs, total
from minigpt.measure.forms.pairs import seen_pairs
from minigpt.measure.forms.weights import weights

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
        cost, "flops", "4 * config.n_head", "2 * config.n_head"),
    "attention is counted for the key heads only": (
        cost, "flops", "config.n_head *", "config.n_kv_head *"),
    "attention is counted for one layer": (
        architecture.Architecture, "over_layers", "layers * of(window)", "of(window)"),
    "the MLP's multiplications only": (
        cost, "flops", "mlp=2 *", "mlp=1 *"),
    "the head's multiplications only": (
        cost, "flops", "head=2 *", "head=1 *"),
    "keys and values are as many as queries": (
        weights_of, "projection_weights", "config.n_kv_head", "config.n_head"),
    "values are forgotten": (
        weights_of, "projection_weights",
        "2 * (config.n_head + config.n_kv_head)", "(2 * config.n_head + config.n_kv_head)"),
    "the projection back is forgotten": (
        weights_of, "projection_weights",
        "2 * (config.n_head + config.n_kv_head)", "(config.n_head + 2 * config.n_kv_head)"),
    "one layer of the MLP is forgotten": (
        weights_of, "mlp_weights", "config.mlp_products", "(config.mlp_products - 1)"),
    "the MLP is four times as wide as the model": (
        weights_of, "mlp_weights", "config.n_inner", "4 * config.n_embd"),
    "causal is not halved": (
        pairs, "seen_pairs", "triangle(tokens) -", "tokens * tokens -"),
    "a token does not see itself": (
        pairs, "seen_pairs", "triangle(tokens) -", "triangle(tokens - 1) -"),
    "a window is full attention": (
        pairs, "seen_pairs", "triangle(max(0, tokens - view))", "0"),
    "sinks are not seen": (
        pairs, "over_layers", "window + model.sinks", "window"),
    "the window is one too wide": (
        pairs, "seen_pairs", "tokens - view", "tokens - 1 - view"),
    "the sum of triangles stops too early": (
        sums, "tetrahedron", "(n + 2)", "(n + 1)"),
    "the sum of squares is a sum of triangles": (
        sums, "pyramid", "(2 * n + 1) // 6", "(n + 2) // 6"),
    "chunks attend to the whole prompt": (
        pairs, "prompt_pairs", "c * c * triangle(prompt // c)", "prompt // c * c * prompt"),
    "the last chunk is forgotten": (
        pairs, "prompt_pairs", " + prompt % c * prompt", ""),
    "a prefill makes all logits, asked for the last": (
        cost, "prefill_flops", '"last": 1', '"last": prompt'),
    "a ring is read as far as it is filled": (
        pairs, "step_pairs", "growing if fixed is None else steps * fixed", "growing"),
    "a decoded token sees what came before it only": (
        cost, "decode_flops", "seen_pairs(config, tokens - steps)", "seen_pairs(config, tokens - steps - 1)"),
    "decode forgets the batch": (
        cost, "decode_flops", "flops(config, batch *", "flops(config, 1 *"),
    "the last token is fed, too": (
        cost, "cached_flops", "prompt + new_tokens - 1, new_tokens - 1", "prompt + new_tokens, new_tokens"),
    "a ring reads the prompt as far as it is filled": (
        pairs, "prompt_pairs", "growing if fixed is None else prompt * fixed", "growing"),
    "causal decode is dense": (
        cost, "decode_flops", 'attention == "causal"', "False"),
    "a generation decodes one token": (
        cost, "cached_flops", "steps=steps", "steps=1"),
    "the first uncached step is forgotten": (
        cost, "uncached_flops", "prompt - 1\n", "prompt\n"),
    "an uncached step computes one token": (
        cost, "uncached_flops", "tokens = triangle(fed) - triangle(before)", "tokens = new_tokens"),
    "uncached causal is dense": (
        cost, "uncached_flops", 'attention == "causal"', "False"),
    "uncached, the window is not seen": (
        pairs, "seen_pairs_again", " - tetrahedron(max(0, tokens - view))", ""),
    "uncached, one layer is counted": (
        pairs, "text_pairs", "config.n_layer * ", ""),
    "H for K in bytes": (
        architecture, "architecture_of", "n_kv_head", "n_head"),
    "the batch has one row": (
        ForwardPass, "layer", "self.batch *", "1 *"),
    "keys without values": (
        architecture, "architecture_of", '("keys", "values")', '("keys",)'),
    "bytes of one layer": (
        ForwardPass, "row", "self.model.layers *", "1 *"),
    "every number has four bytes": (
        ForwardPass, "layer", "self.itemsize", "4"),
    "what left the window is useful still": (
        ForwardPass, "seen", "if window is None else", "if True else"),
    "what only the last query sees is useful": (
        ForwardPass, "seen", "window - 1 + self.new", "window"),
    "the book is kept for nothing": (
        caches, "none", "written=0", ""),
    "concat copies the new tokens, too": (
        caches, "concat", "at.past * at.row", "at.end * at.row"),
    "growing is free": (
        caches, "dynamic", "at.past * at.row", "0"),
    "each pass grows": (
        caches, "dynamic", "if grows(at) else 0", ""),
    "room is what is needed": (
        caches, "room", "first << (-(-tokens // first) - 1).bit_length()", "tokens"),
    "room doubles a token too early": (
        caches, "room", "(-(-tokens // first) - 1)", "(tokens // first)"),
    "static is as long as the context": (
        caches, "capacity", "model.context if max_cache_len is None else max_cache_len", "model.context"),
    "slots of one row": (
        ForwardPass, "kept", '"slots": self.batch * ', '"slots": '),
    "static is as long as the text": (
        caches, "static", "capacity(at.model, max_cache_len)", "at.end"),
    "the ring is one slot short": (
        caches, "rings", "chunk) - 1", "chunk) - 2"),
    "the sinks take no slots": (
        caches, "rings", "model.sinks + ", ""),
    "a ring's empty slots are not read": (
        caches, "sliding_window", "at.model.over_layers(slots.__getitem__) * at.layer", "at.end * at.row"),
    "the ring takes in the prompt at once": (
        caches, "ring_chunk", "min(filter(None, model.windows))", "24"),
    "nothing is fetched again after growing": (
        caches, "offloaded", "grows(at)", "False"),
    "the prefetch for the next pass is forgotten": (
        caches, "in_slower_memory", "at.past + at.new", "at.past"),
    "a single layer is fetched at each pass": (
        caches, "in_slower_memory", "if L > 1 else 0", ""),
    "all layers are here": (
        caches, "in_slower_memory", "min(2, L)", "L"),
    "one layer goes down": (
        caches, "in_slower_memory", "at.new * at.row", "at.new * at.layer"),
    "the residual is forgotten": (
        quantized, "quantized", " + (at.end - now * tokens) * exact", ""),
    "the residual is a token longer": (
        quantized, "quantized", "past - residual_length", "past - residual_length - 1"),
    "the scales are forgotten": (
        quantized, "kinds", "(codes + scales)", "codes"),
    "the zero-points are forgotten": (
        quantized, "kinds", "sharing * parameters", "sharing"),
    "a code takes a byte": (
        quantized, "kinds", "code_nbytes(tokens * heads * size, nbits or bits)", "tokens * heads * size"),
    "rounding writes nothing": (
        quantized, "quantized", " + (now - old) * nbytes", ""),
    "rounded blocks stay where they are": (
        quantized, "quantized", " + (old * nbytes if now > old else 0)", ""),
    "the residual stays where it is": (
        quantized, "quantized", "(at.past - now * tokens) * exact", "0"),
    "keys are grouped as values are": (
        quantized, "kinds", "group_key or groups[0]", "group_value or groups[1]"),
    "a head shares a channel's scale": (
        quantized, "block", '"head": head_size', '"head": 1'),
    "a tensor's scale is each head's": (
        quantized, "block", "head_size * heads", "head_size"),
    "a prompt is never chunked": (
        generation, "with_cache", "range(0, prompt, chunk)", "range(0, prompt, prompt)"),
    "without a cache a pass is fed the new token": (
        generation, "without_cache", "(0, end)", "(end - 1, 1)"),
    "the ring's chunks are as long as one asks": (
        generation, "kv_costs", "prompt, most, prompt", "prompt, prompt"),
}  # fmt: skip


HOUSES = [architecture, caches, cost, generation, pairs, quantized, roofline, sums, weights_of]


def disagreement():
    return next((this for this in examples() if counted_once(this) != by_form(this)), None)


def mutate_form(monkeypatch, owner, name, old, new):
    original = getattr(owner, name)
    mutate(monkeypatch, owner, name, old, new, HOUSES)
    for cache, form in caches.FORMS.items():
        if form.cost is original:
            monkeypatch.setitem(caches.FORMS, cache, replace(form, cost=getattr(owner, name)))


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
        Tracer, "update", "seen.any(1)", "seen[:, -1]"),
    "the mask is not asked": (
        Tracer, "update", "int(seen.sum())", "seen.numel()"),
    "a pass's head falls to the next": (
        Tracer, "admit", "    self.close()\n", ""),
    "growing is not seen": (
        Tracer, "update", "this.copied[layer] += copied", "pass"),
    "keys are read without values": (
        Tracer, "update", "k.nbytes + v.nbytes", "k.nbytes"),
    "up is down": (
        Tracer, "update", "up, down = (", "down, up = ("),
    "padding and the last token are rows": (
        Tracer, "update", "self.admitted", "1"),
    "projections are attention": (
        flops, "flops_of", "aten.bmm", "aten.addmm", [minigpt.measure.counted.trace]),
    "the fused kernel, which counts nothing, is counted": (
        flops, "counting", "sdpa_kernel(SDPBackend.MATH), ", "", [minigpt.measure.counted.trace]),
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
    mutate_form(monkeypatch, sums, "triangle", "n * (n + 1)", "(n + 1) * n")
    mutate_form(monkeypatch, caches, "dynamic", "at.past * at.row", "at.row * at.past")
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


@pytest.mark.parametrize(("prompt", "times"), [(1, 176), (PROMPT, 225), (512, 312)])
def test_a_longer_prompt_makes_the_cache_save_more(prompt, times):
    """The figures of the README, by closed form: its convention is the causal half, and the last token's logits."""
    ways = {"attention": "causal", "logits": "last"}
    without, cached = (each(GPT2, prompt, NEW, **ways).total for each in (uncached_flops, cached_flops))
    assert round(without / cached) == times


@pytest.mark.parametrize(("new", "slots", "logit_rows"), [(7, 7, 1), (7, 7, 7), (1, 9, 1), (3, 9, 3)])
def test_shapes_alone_count_what_a_real_pass_counts(new, slots, logit_rows):
    config = GPTConfig(vocab_size=11, context=24, n_layer=2, n_head=4, n_kv_head=2, n_embd=16, n_inner=10)
    assert flops_of_shapes(config, new, slots, logit_rows, rows=2) == cost.flops(
        config, 2 * new, 2 * config.n_layer * new * slots, 2 * logit_rows
    )


def test_gpt2_costs_what_the_rules_of_thumb_say():
    """2 P + 4 L H D s for a decoded token that sees s, P = 12 L C^2 + C V; 2 L K D b bytes a token."""
    P = 12 * 12 * 768**2 + 768 * 50257
    assert weights(GPT2) == P
    assert decode_flops(GPT2, 500, attention="dense").total == 2 * P + 4 * 12 * 768 * 500
    assert kv_costs("concat", GPT2, 1, 1, itemsize=2)[0].nbytes == roofline.kv_nbytes(GPT2, 2) == 36864
    assert seen_pairs(GPT2, 1000) == 12 * 1000 * 1001 // 2


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


WINDOWS = 9, None, 4
HYBRID = GPTConfig(vocab_size=11, context=64, n_layer=3, n_head=4, n_kv_head=2, n_embd=64, window=WINDOWS, sinks=2)


def one_layer(window):
    sinks = 0 if window is None else HYBRID.sinks
    return replace(HYBRID, n_layer=1, window=window, sinks=sinks)


def test_attention_of_layers_with_windows_of_their_own_is_the_sum_of_what_each_takes_alone():
    each = [one_layer(window) for window in WINDOWS]
    how = {"attention": "causal", "logits": "last", "batch": 2}
    wanted = [sum(form(config, 30, 7, **how).attention for config in each) for form in (cached_flops, uncached_flops)]
    dense = sum(decode_flops(config, 30, attention="dense", slots=slots).attention for config, slots in
                zip(each, (15, None, 20), strict=True))  # fmt: skip
    read = sum(roofline.decode_nbytes(config, 30, itemsize=2) - 2 * weights(config) for config in each)
    assert [form(HYBRID, 30, 7, **how).attention for form in (cached_flops, uncached_flops)] == wanted
    assert decode_flops(HYBRID, 30, attention="dense", slots=(15, None, 20)).attention == dense
    assert roofline.decode_nbytes(HYBRID, 30, itemsize=2) - 2 * weights(HYBRID) == read


@pytest.mark.parametrize("name", ["concat", "dynamic", "sliding_window", "quantized"])
def test_a_cache_of_layers_with_windows_of_their_own_costs_the_sum_of_what_each_costs_alone(name):
    """A ring stands in for each layer that has a window; the others keep all tokens, as `concat` does."""
    options = {"sliding_window": {"chunk": 3}, "quantized": {"residual_length": 5, "q_group_size": 16}}.get(name, {})
    ways = {"itemsize": 2, "batch": 2, "prefill_chunk_size": 3}
    alone = []
    for window in WINDOWS:
        ring = name == "sliding_window" and window is None
        alone.append(
            kv_costs("concat" if ring else name, one_layer(window), 20, 9, **ways, **({} if ring else options))
        )
    for costs, whole in zip(zip(*alone, strict=True), kv_costs(name, HYBRID, 20, 9, **ways, **options), strict=True):
        for what in ("rows", "nbytes", "written", "copied", "read"):
            assert getattr(whole, what) == sum(getattr(each, what) for each in costs)
        for what in ("slots", "useful"):
            assert getattr(whole, what) == max(getattr(each, what) for each in costs)


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
    with pytest.raises(ValueError, match="no form knows what max_cache_len costs in quantized"):
        kv_costs("quantized", GPT2, 5, 5, itemsize=2, max_cache_len=9)
    with pytest.raises(ValueError, match="a ring wants a window"):
        kv_costs("sliding_window", GPT2, 5, 5, itemsize=2)
    with pytest.raises(ValueError, match="has 7 tokens or more"):
        kv_cost_of_decode("dynamic", GPT2, 6, prompt=5, itemsize=2)
