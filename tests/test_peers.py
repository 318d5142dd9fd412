"""Against the real libraries: optimum-quanto, hqq, and transformers' QuantizedCache on top of them.

They are for these tests only (`pip install minigpt-kv[peers]`): without one, its tests skip and say so.
"""

import json
import tempfile
import warnings
from dataclasses import replace

import axes
import pytest
import torch
from helpers import random_ids, spread
from requantize import Again, RequantizedCache, StopsEarly

from minigpt.cache import make_cache
from minigpt.cache.quantized.codec import Codec, group_shape
from minigpt.cache.quantized.formats import Float8, MinMax
from minigpt.config import GPTConfig
from minigpt.model import GPT

B, K, T, D, GROUP = 2, 2, 48, 32, 16


@pytest.fixture(scope="module")
def quanto():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("optimum.quanto", reason="pip install minigpt-kv[peers]", exc_type=ImportError)
    with axes.without_compiling():
        yield library


@pytest.fixture(scope="module")
def hqq():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reason = "pip install minigpt-kv[peers]"
        return pytest.importorskip("hqq.core.quantize", reason=reason, exc_type=ImportError).Quantizer


def numbers(seed=0, tokens=T):
    return torch.randn(B, K, tokens, D, generator=torch.Generator().manual_seed(seed))


def by_quanto(quanto, x, bits, axis):
    kind = {2: quanto.qint2, 4: quanto.qint4}[bits]
    scale, shift = quanto.MaxOptimizer()(x, kind, axis, GROUP)
    return quanto.quantize_weight(x, kind, axis, scale, shift, GROUP).dequantize()


def by_hqq(hqq, x, bits, axis):
    codes, about = hqq.quantize(x, nbits=bits, axis=axis, group_size=GROUP, device="cpu", compute_dtype=torch.float32)
    about["compute_dtype"] = torch.float32
    return hqq.dequantize(codes, about)


def ours(format, cut, x):
    codec = Again(format, (1, 1, GROUP), (K, D), torch.float32, cut, B)
    return codec.read(codec.write(x.transpose(1, 2))).transpose(1, 2)  # here (B, T, K, D)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize(("axis", "cut"), [(0, "neighbours"), (-1, "rows")])
def test_our_min_max_is_that_of_quanto(quanto, bits, axis, cut):
    x = numbers()
    assert (ours(MinMax(bits), cut, x) - by_quanto(quanto, x, bits, axis)).abs().max() < 1e-5


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize(("axis", "cut"), [(0, "strided"), (1, "neighbours")])
def test_our_half_quadratic_rounding_is_that_of_hqq(hqq, bits, axis, cut):
    x = numbers()
    assert (ours(StopsEarly(bits), cut, x) - by_hqq(hqq, x, bits, axis)).abs().max() < 1e-5


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize(("axis", "name"), [(0, "token"), (-1, "channel")])
def test_groups_by_name_are_those_of_the_axes(quanto, bits, axis, name):
    x = numbers()
    codec = Codec(MinMax(bits), group_shape(name, GROUP, K, D), (K, D), torch.float32)
    mine = codec.read(codec.write(x.transpose(1, 2))).transpose(1, 2)
    assert (mine - by_quanto(quanto, x, bits, axis)).abs().max() < 1e-5


def test_groups_by_token_are_those_of_axis_1_of_hqq(hqq):
    x = numbers()
    codec = Codec(StopsEarly(4), group_shape("token", GROUP, K, D), (K, D), torch.float32)
    mine = codec.read(codec.write(x.transpose(1, 2))).transpose(1, 2)
    assert (mine - by_hqq(hqq, x, 4, 1)).abs().max() < 1e-5


def test_what_notebook_06_shows_of_the_libraries_is_what_they_do(quanto, hqq):
    pytest.importorskip("transformers")
    found, recorded = axes.run(), json.loads(axes.FILE.read_text(encoding="utf-8"))
    drifts, old_drifts = found.pop("drift"), recorded.pop("drift")
    by = recorded.pop("versions")
    assert found == recorded | {"versions": found["versions"]}, f"recorded by {by}; anew: python -m tests.axes"
    assert {name: pytest.approx(drift, abs=0.002) for name, drift in old_drifts.items()} == drifts


def test_our_fp8_is_that_of_transformers():
    layers = pytest.importorskip("transformers.cache_utils")
    if not hasattr(layers, "Fp8QuantizedLayer"):
        pytest.skip("this transformers has no fp8 cache")
    x = numbers()[:1]  # one scale a tensor there, one a row of the batch here
    codec = Codec(Float8(), group_shape("tensor", T, K, D), (K, D), torch.float32)
    theirs = layers.Fp8QuantizedLayer()
    theirs.update(x, x)
    assert (
        codec.read(codec.write(x.transpose(1, 2))).transpose(1, 2) - theirs._dequantize(theirs._quantized_keys)
    ).abs().max() < 1e-5


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize(
    ("backend", "axes"), [("quanto", (0, 0)), ("quanto", (-1, 0)), ("hqq", (0, 0)), ("hqq", (1, 0))], ids=str
)
def test_rounding_again_returns_what_the_cache_of_transformers_returns_step_by_step(request, backend, axes, bits):
    """Over four flushes: what is rounded, when, and again."""
    request.getfixturevalue(backend)
    transformers = pytest.importorskip("transformers")
    options = {"nbits": bits, "axis_key": axes[0], "axis_value": axes[1], "q_group_size": GROUP, "residual_length": 8}
    theirs = transformers.QuantizedCache(backend, transformers.GPT2Config(n_layer=1, n_head=K, n_embd=K * D), **options)
    config = GPTConfig(vocab_size=9, context=99, n_layer=1, n_head=K, n_embd=K * D)
    cache = RequantizedCache(config, batch_size=B, backend=backend, **options)
    k, v = numbers(1), numbers(2)
    start, flushes = 0, set()
    for size in [16, *[1] * 18, 3, *[1] * 11]:
        new = slice(start, start + size)
        want = theirs.update(k[:, :, new], v[:, :, new], 0)
        cache.admit(torch.arange(start, start + size).expand(B, -1))
        *got, _ = cache.update(k[:, :, new].transpose(1, 2), v[:, :, new].transpose(1, 2), 0)
        for mine, their in zip(got, want, strict=True):
            assert (mine.transpose(1, 2) - their).abs().max() < 1e-5, f"at {start}"
        flushes.add(tuple(codec.tokens_in(each) for codec, each in zip(cache.codecs, cache.kv[0][2:], strict=True)))
        start += size
    assert flushes == {(count, count) for count in (0, 16, 24, 32, 40)}


@pytest.fixture(scope="module")
def gpts():
    """transformers' GPT-2 with random weights, and ours with the same; their text is far from repeating itself."""
    transformers = pytest.importorskip("transformers")
    settings = {"vocab_size": 61, "n_positions": 96, "n_layer": 2, "n_head": K, "n_embd": K * D, "eos_token_id": None}
    theirs = spread(transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings, bos_token_id=None)), seed=3)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        return theirs, GPT.from_pretrained(folder)


PROMPT, RESIDUAL, NEW = 40, 16, 48
ROUNDING = {
    "quanto 4": {"backend": "quanto", "nbits": 4, "axis_key": 0, "axis_value": 0},
    "quanto 2": {"backend": "quanto", "nbits": 2, "axis_key": 0, "axis_value": 0},
    "hqq 4": {"backend": "hqq", "nbits": 4, "axis_key": 1, "axis_value": 1},
    "hqq 2": {"backend": "hqq", "nbits": 2, "axis_key": 1, "axis_value": 1},
}


def told(options):
    return {**options, "q_group_size": GROUP, "residual_length": RESIDUAL}


@pytest.mark.parametrize("rounding", ROUNDING)
def test_greedy_tokens_are_those_of_the_quantized_generate_of_transformers(request, gpts, rounding):
    """The prompt is longer than the residual, and the residual is flushed three times."""
    request.getfixturevalue(ROUNDING[rounding]["backend"])
    theirs, ours = gpts
    ids, options = random_ids(1, PROMPT, seed=5), told(ROUNDING[rounding])
    how = {"max_new_tokens": NEW, "do_sample": False, "cache_implementation": "quantized"}
    want = theirs.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, cache_config=options, **how)
    cache = RequantizedCache(ours.config, **options)
    assert torch.equal(ours.generate(ids, max_new_tokens=NEW, cache=cache), want)
    assert not torch.equal(ours.generate(ids, max_new_tokens=NEW), want), "or the rounding changed nothing"


@pytest.mark.parametrize("rounding", ROUNDING)
def test_where_append_only_differs_from_transformers_it_is_the_residual(request, gpts, rounding):
    """transformers rounds the whole prompt once it has attended; ours keeps the newest residual_length tokens exact.
    With no residual both read the same numbers, in the first step after the prompt; with hqq, once ours also stops
    early, as the library does (all groups together, so that one changes another: which is why ours does not)."""
    request.getfixturevalue(ROUNDING[rounding]["backend"])
    transformers = pytest.importorskip("transformers")
    (theirs, gpt), ids, options = gpts, random_ids(1, PROMPT + 1, seed=5), told(ROUNDING[rounding])
    backend, rest = options["backend"], {name: options[name] for name in options if name != "backend"}

    def step(cache, model):
        with torch.no_grad():
            return [model(piece, cache=cache) for piece in (ids[:, :PROMPT], ids[:, PROMPT:])][1]

    want = step(transformers.QuantizedCache(backend, theirs.config, **rest), theirs).logits
    kept = step(make_cache("quantized", gpt.config, **options), gpt)
    rounding_all = make_cache("quantized", gpt.config, **{**options, "residual_length": 0})
    if backend == "hqq":
        rounding_all.codecs = [replace(codec, format=StopsEarly(codec.format.bits)) for codec in rounding_all.codecs]
    assert (step(rounding_all, gpt) - want).abs().max() < 1e-4 * want.abs().max()
    assert (kept - want).abs().max() > 1e-2 * want.abs().max()
