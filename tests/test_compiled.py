"""The compiled step: one graph, of the same modules and caches, whose logits are the uncached ones."""

import contextlib
import copy
import shutil

import pytest
import torch
import torch.nn.functional as F
from helpers import as_for_a_user, random_gpt, random_ids
from mutants import mutate
from torch._dynamo.exc import FailOnRecompileLimitHit
from torch._dynamo.utils import counters

from minigpt import compiled, one_row
from minigpt.cache import CACHES, CacheError, make_cache
from minigpt.cache.static import StaticCache
from minigpt.compiled import CompiledStep
from minigpt.config import GPTConfig
from minigpt.proof import situations, texts, verbs
from minigpt.proof.oracles import OPTIONS, expected
from minigpt.proof.sameness import assert_same
from minigpt.proof.situations import HEADS, PADDING, RULES, random_model, text
from minigpt.shortcut import Shortcut

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
STILL = [(name, rule) for name in ("static", "quantized_static") for rule in RULES] + [
    ("sliding_window", rule) for rule in RULES if rule not in ("full", "hybrid")
]


@pytest.fixture(autouse=True)
def _plain_python():
    """The compiler can't read through the shape checks of the tests."""
    with as_for_a_user():
        yield


@pytest.fixture
def _uncompiled(monkeypatch):
    """What the graph is made of, run as Python: the same numbers, without the seconds."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


class Stepping:
    """A model that is fed single tokens by a compiled step, and all others as ever."""

    def __init__(self, gpt):
        self.gpt, self.config, self.steps = gpt, gpt.config, {}

    def __call__(self, ids, positions=None, cache=None):
        if cache is None or ids.shape[1] > 1:
            return self.gpt(ids, positions, cache)
        cache.serve(self.gpt, len(ids))
        step = self.steps.setdefault(cache, CompiledStep(self.gpt, cache))
        return step.step(self.gpt, ids, positions, cache)[:, None]

    def __getattr__(self, name):
        return getattr(self.gpt, name)


@pytest.fixture
def _stepping(monkeypatch):
    models = {}
    original = situations.model

    def model(*which):
        return models.setdefault(which, Stepping(original(*which)))

    for checks in (texts, verbs):
        monkeypatch.setattr(checks, "model", model)


@contextlib.contextmanager
def graphs(most):
    """Not more than so many are made."""
    before = counters["stats"]["unique_graphs"]
    yield
    made = counters["stats"]["unique_graphs"] - before
    assert made <= most, f"{made} graphs"


def conforms(name, rule):
    """In chunks of 1 and by verbs: a prefill goes by the model as it is."""
    for padding in PADDING:
        for heads in HEADS:
            texts.schedule_equals_uncached(name, rule, heads, padding, "chunks of 1")
    verbs.verbs_equal_a_replay(name, rule, 0)
    verbs.positions_may_have_gaps(name, rule)
    verbs.a_crop_is_exact_or_refused(name, rule)


@pytest.mark.usefixtures("_uncompiled", "_stepping")
@pytest.mark.parametrize(("name", "rule"), STILL)
def test_the_step_conforms(name, rule):
    conforms(name, rule)


MUTANTS = {
    "the newest slot is not read": (StaticCache, "in_graph", '": used}', '": used[:, :-1]}'),
    "the last slots are read, and not the first": (StaticCache, "store", "keys[:, :read]", "keys[:, -read:]"),
    "every row stands where the first one does": (
        compiled.InGraph, "__init__", "fresh(cache.positions[:, -1:])", "fresh(cache.positions[:1, -1:].expand("
        "cache.batch_size, 1))"),
    "every row is written where the first is": (
        compiled, "newest_slots", "slots[cache.place(layer)]", "slots[cache.place(layer)][:1].expand(len(slots), 1)"),
    "all layers write where the first one does": (compiled.InGraph, "__init__", "at[layer]", "at[0]"),
    "a token is written one slot too far": (
        compiled, "newest_slots", "slots[cache.place(layer)]", "(slots[cache.place(layer)] + 1) % slots.shape[1]"),
    "positions are those of the prompt": (
        CompiledStep, "step", "cache.admit(positions, ids)", "cache.admit(None, ids)"),
}  # fmt: skip


@pytest.mark.usefixtures("_uncompiled", "_stepping")
@pytest.mark.parametrize("what", MUTANTS)
def test_the_suite_catches_a_step_in_which(what, monkeypatch):
    mutate(monkeypatch, *MUTANTS[what])
    with pytest.raises((AssertionError, CacheError, IndexError)):
        [conforms(*which) for which in STILL]


@needs_compiler
@pytest.mark.usefixtures("_stepping")
@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        (verbs.two_conversations_share_nothing, ["static"]),
        (verbs.positions_may_have_gaps, ["sliding_window", "window with sinks"]),
    ],
)
def test_compiled_conformance(check, arguments):
    with as_for_a_user(), graphs(1):
        check(*arguments)


@needs_compiler
@pytest.mark.parametrize(
    ("name", "rule", "options"),
    [
        ("static", "full", {}),
        ("sliding_window", "window with sinks", {}),
        ("quantized_static", "full", OPTIONS["quantized_static"]),
        ("quantized_static", "window", {"q_group_size": 8, "residual_length": 3}),
    ],
)
def test_one_graph_for_all_texts_and_lengths(name, rule, options):
    """Two prompts, two lengths, two capacities, padded or not, full at last: once compiled, never again; and right in
    float64. What is rounded is so a token at a time, or a group."""
    gpt = random_model(GPTConfig(vocab_size=53, context=60, n_layer=1, n_head=4, n_kv_head=2, n_embd=16, **RULES[rule]))
    with graphs(1), torch.inference_mode():
        for prompt, new, slots in ((5, 9, 14), (17, 30, 60)):
            ids, positions = text([0], prompt + new, seed=prompt)
            limit = {"max_cache_len": slots} if name in situations.LIMITED else {}
            cache = make_cache(name, gpt.config, dtype=torch.float64, **limit, **options)
            fed, step = situations.pieces(cache, 0, prompt), CompiledStep(gpt, cache)
            want = expected(name, gpt, ids, positions, [*situations.sizes(fed), *[1] * new], options)
            for piece in fed:
                gpt(ids[:, piece], None, cache)
            for at in range(prompt, prompt + new):
                now = slice(at, at + 1)
                got = step.step(gpt, ids[:, now], None, cache)
                assert_same(got[:, None], want[:, now], positions[:, now], f"decoding token {at}", at)


def the_step_is_the_eager_one(gpt, other):
    """While weights change in place, lie in memory otherwise, rows change places, and another model goes on."""
    ids = random_ids(2, 30)
    with torch.inference_mode():
        cache = make_cache("static", gpt.config, batch_size=2, max_cache_len=30, dtype=gpt.dtype)
        gpt(ids[:, :20], cache=cache)
        twin, step, model = copy.deepcopy(cache), CompiledStep(gpt, cache), gpt
        for at in range(20, 30):
            if at == 23:
                gpt.h[0].mlp.c_fc.weight.mul_(2)
            if at == 25:
                weight = gpt.h[0].mlp.c_fc.weight
                weight.data = weight.detach().t().clone(memory_format=torch.contiguous_format).t()  # in other strides
            if at == 27:
                cache.select([1, 0])
                twin.select([1, 0])
            if at == 28:
                model = other
            new = ids[:, at : at + 1]
            want = model.lm_head(model.hidden(new, None, twin))
            torch.testing.assert_close(step.step(model, new, None, cache)[:, None], want)


@pytest.fixture
def two_models():
    return random_gpt(n_layer=1, seed=1), random_gpt(n_layer=1, seed=2)


@needs_compiler
def test_the_shortcut_sees_whatever_changes(two_models):
    with graphs(2):  # one for the other strides
        the_step_is_the_eager_one(*two_models)


SHORTCUTS = {
    "all later tokens are the first": ("__call__", "self.inputs[place] = each", "pass"),
    "the slots in use stay those of the first token": ("__call__", "self.inputs[at] = self", "self"),
    "the cache's tensors stay those of the first token": ("leads", "one is other", "True"),
    "weights stay where they were": ("leads", " and self.lie_at() == self.addresses", ""),
    "the model stays the first": ("leads", " and model is self.model", ""),
}


@needs_compiler
@pytest.mark.parametrize("what", SHORTCUTS)
def test_a_shortcut_is_caught_by_which(what, two_models, monkeypatch):
    mutate(monkeypatch, Shortcut, *SHORTCUTS[what])
    with pytest.raises(AssertionError):
        the_step_is_the_eager_one(*two_models)


@needs_compiler
def test_the_shortcut_is_taken(two_models, monkeypatch):
    """By every token but the first, and those after a change that torch must look at: at 25, 27 and 28."""
    taken, call = [], Shortcut.__call__
    monkeypatch.setattr(Shortcut, "__call__", lambda self, given: taken.append(self) or call(self, given))
    the_step_is_the_eager_one(*two_models)
    assert len(taken) == 10 - 4


@pytest.mark.parametrize("name", ["dynamic", "static", "sliding_window"])
def test_the_tokens_of_a_head_follow_each_other_in_memory(name):
    """As attention reads them; and only so do the strides of a buffer follow from its sizes, as the graph needs it."""
    gpt = random_gpt(n_head=4, n_kv_head=2, window=8)
    cache = make_cache(name, gpt.config, batch_size=2, dtype=gpt.dtype)
    with torch.no_grad():
        gpt(random_ids(2, 5), cache=cache)
        twin = copy.deepcopy(cache)
        cache.select([1, 0, 1])
        gpt(random_ids(3, 1), cache=cache)
    for keys, values, *_ in [*cache.kv, *twin.kv]:
        assert keys.transpose(1, 2).is_contiguous()
        assert values.transpose(1, 2).is_contiguous()


@pytest.mark.usefixtures("_uncompiled")
def test_a_cache_of_one_slot():
    gpt, ids = random_gpt(), random_ids(1, 1)
    got = gpt.generate(ids, max_new_tokens=1, cache_implementation="static", compile=True)
    assert torch.equal(got, gpt.generate(ids, max_new_tokens=1, use_cache=False))


@needs_compiler
def test_generate_compiles_and_gives_the_same_tokens():
    gpt = random_gpt(dtype=torch.float32, n_layer=1)
    with graphs(1):
        for prompt, new in ((4, 12), (9, 30)):
            ids = random_ids(1, prompt, seed=prompt)
            want = gpt.generate(ids, max_new_tokens=new, use_cache=False)
            got = gpt.generate(ids, max_new_tokens=new, cache_implementation="static", compile=True)
            assert torch.equal(got, want)


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_that_moves_is_refused_with_the_reason(name):
    gpt = random_gpt(window=8)
    cache = make_cache(name, gpt.config, dtype=gpt.dtype)
    if not cache.moves:
        return
    with pytest.raises(CacheError, match=cache.moves):
        gpt.generate(random_ids(1, 3), cache=cache, compile=True)
    assert cache.length == 0


def test_which_caches_stand_still():
    windowed = {name: make_cache(name, random_gpt(window=8).config).moves for name in CACHES}
    assert [name for name in CACHES if not windowed[name]] == ["static", "sliding_window", "quantized_static"]
    hybrid = make_cache("sliding_window", random_gpt(window=[8, None]).config)
    assert "no window" in hybrid.moves


@needs_compiler
@pytest.mark.parametrize("most", [compiled.GRAPHS, 2])
def test_more_graphs_are_compiled_than_torch_would_and_its_setting_stays(most, monkeypatch):
    """Each model has a graph of its own."""
    monkeypatch.setattr(compiled, "GRAPHS", most)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(cache_size_limit=2):
        for n, refused in enumerate((False, False, most == 2)):
            gpt = random_gpt(dtype=torch.float32, n_layer=1, n_embd=8 + 4 * n)
            with pytest.raises(FailOnRecompileLimitHit) if refused else contextlib.nullcontext():
                gpt.generate(random_ids(1, 3), max_new_tokens=4, cache_implementation="static", compile=True)
            assert torch._dynamo.config.cache_size_limit == 2


def test_without_a_compiler_it_is_refused_before_any_work(monkeypatch):
    gpt = random_gpt()
    cache = make_cache("static", gpt.config, dtype=gpt.dtype)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="no-such-compiler is not found"):
        gpt.generate(random_ids(1, 3), cache=cache, compile=True)
    assert cache.length == 0


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_a_product_of_one_row_is_the_product(rows, bias):
    x, weight, b = (torch.randn(*shape, dtype=torch.float64) for shape in ((rows, 1, 7), (5, 7), (5,)))
    b = b if bias else None
    torch.testing.assert_close(one_row.linear(x, weight, b), F.linear(x, weight, b))


@pytest.mark.parametrize(("heads", "rows"), [(4, 1), (2, 2)])
def test_attention_of_one_row_is_attention(heads, rows):
    q, k, v = (torch.randn(2, heads, n, 8, dtype=torch.float64) for n in (rows, 11, 11))
    mask = (torch.arange(11) < torch.tensor([[9], [4]]))[:, None, None].expand(2, 1, rows, 11)
    want = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(one_row.attention(q, k, v, attn_mask=mask), want)
