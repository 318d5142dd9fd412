"""Generations in all the ways that change their cost: each is counted once, and computed by the closed forms."""

from dataclasses import asdict, dataclass, replace
from functools import cache as remember

import torch
from hypothesis import strategies as st

import minigpt.measure.forms.caches as caches
import minigpt.measure.forms.flops as cost
import minigpt.measure.forms.generation as generation
from minigpt.cache import CACHES
from minigpt.config import GPTConfig
from minigpt.measure.counted.flops import counting, flops_of
from minigpt.measure.counted.trace import Pass, trace
from minigpt.measure.forms.architecture import architecture_of
from minigpt.measure.forms.flops import Flops
from minigpt.measure.forms.quantized import CHUNK
from minigpt.model import GPT
from minigpt.proof import oracles
from minigpt.proof.situations import LIMITED


@dataclass(frozen=True)
class Situation:
    """One generation. options: of its cache, as (name, value) pairs."""

    name: str
    config: GPTConfig
    prompt: int = 5
    new_tokens: int = 6
    batch: int = 1
    prefill_chunk_size: int | None = None
    dtype: torch.dtype = torch.float32
    options: tuple = ()


@st.composite
def situations(draw, name):
    """All situations that a cache can serve."""
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    K, group, D = number(1, 2), number(1, 2), 2 ** number(1, 3)
    n_layer, wide = number(1, 3), st.none() | st.integers(1, 8)
    window = [draw(wide) for _ in range(n_layer)] if draw(st.booleans()) else draw(wide)
    if CACHES[name].needs_window and (window is None or not any(window if isinstance(window, list) else [window])):
        window = number(1, 8)
    if isinstance(window, list) and not any(window):
        window = None
    config = GPTConfig(
        vocab_size=number(3, 20),
        context=24,
        n_layer=n_layer,
        n_head=K * group,
        n_kv_head=K,
        n_embd=K * group * D,
        n_inner=number(1, 20),
        window=window,
        sinks=0 if window is None else number(0, 3),
    )
    prompt, new_tokens = number(1, 9), number(1, 7)
    options = {}
    if name in LIMITED:
        options = {"max_cache_len": prompt + new_tokens - 1 + number(0, 3)}
    if name == "sliding_window":
        options = {"chunk": draw(st.none() | st.integers(1, 9))}
    if CACHES[name].lossy:
        backend = draw(st.sampled_from(["quanto", "hqq", "fp8", "kivi"]))
        whole = [bits for bits in (2, 4, 8) if name == "quantized" or D * bits % 8 == 0]  # bytes of a head
        group = st.sampled_from(["token", "channel", "head", "tensor"])
        options |= {
            "backend": backend,
            "nbits": 8 if backend == "fp8" else draw(st.sampled_from(whole)),
            "group_key": draw(group),
            "group_value": draw(group),
            "q_group_size": draw(st.sampled_from([4, 8])),
            "residual_length": number(0, 9),
        }
    if name == "quantized_static":
        options["chunk"] = number(1, 9)
    return Situation(
        name,
        config,
        prompt,
        new_tokens,
        batch=number(1, 2),
        prefill_chunk_size=None if name == "none" else draw(st.none() | st.integers(1, 6)),
        dtype=draw(st.sampled_from([torch.float32, torch.float64])),
        options=tuple(options.items()),
    )


MHA = {"vocab_size": 11, "context": 24, "n_layer": 3, "n_head": 2, "n_embd": 8, "n_inner": 20}
GQA = MHA | {"n_head": 4, "n_embd": 16, "n_kv_head": 2}
WINDOW = {"window": 4, "sinks": 2}
ROUNDED = tuple(oracles.OPTIONS["quantized"].items())
FP8 = (("backend", "fp8"),)
OPTIONS = {name: tuple(options.items()) for name, options in oracles.OPTIONS.items()}
OPTIONS |= {"static": (("max_cache_len", 13),), "sliding_window": (("chunk", 3),)}


@remember
def examples() -> list[Situation]:
    """A few of each cache, which never change: those that the mutants must get wrong."""
    few = []
    for name in CACHES:
        chunk, options = (None if name == "none" else 2), OPTIONS.get(name, ())
        for sizes in (MHA, GQA):
            if not CACHES[name].needs_window:
                few.append(Situation(name, GPTConfig(**sizes), options=options, new_tokens=9))
            windowed = GPTConfig(**sizes, **WINDOW)
            few.append(Situation(name, windowed, prompt=8, batch=2, prefill_chunk_size=chunk, options=options))
        one_layer = GPTConfig(**GQA | {"n_layer": 1}, window=3)
        few.append(Situation(name, one_layer, prompt=5, prefill_chunk_size=chunk, dtype=torch.float64))
    few.append(
        Situation(
            "sliding_window", GPTConfig(**MHA, **WINDOW), prompt=8, new_tokens=2, options=OPTIONS["sliding_window"]
        )
    )
    for group in ("token", "head", "tensor"):
        options = dict(ROUNDED) | {"group_key": group, "group_value": group, "nbits": 2}
        few.append(Situation("quantized", GPTConfig(**GQA), new_tokens=9, options=tuple(options.items())))
    few.append(
        Situation(
            "quantized", GPTConfig(**GQA), new_tokens=3, options=(*FP8, ("q_group_size", 4), ("residual_length", 3))
        )
    )
    return few


@torch.no_grad()
def counted(this: Situation) -> dict:
    """What a situation costs, counted in a run."""
    torch.manual_seed(0)
    model = GPT(this.config).to(this.dtype).eval()
    ids = torch.randint(this.config.vocab_size, (this.batch, this.prompt))
    sizes = {"prefill_chunk_size": this.prefill_chunk_size, **dict(this.options)}
    passes = trace(model, ids, this.new_tokens, this.name, **sizes).passes
    prefill = 1 if this.name == "none" else sum(each.past < this.prompt for each in passes)
    costs = {"passes": [bytes_of(each) for each in passes]}
    for logits, those in (("last", passes), ("all", [*with_all_logits(model, passes, this.batch)])):
        last_step = those[-1:] if this.new_tokens > 1 else []
        for part, some in (("prefill", those[:prefill]), ("generation", those), ("last step", last_step)):
            dense = sum((each.flops for each in some), Flops())
            scored, pairs = sum(each.scored for each in some), sum(each.pairs for each in some)
            costs[part, "dense", logits] = dense
            costs[part, "causal", logits] = replace(dense, attention=dense.attention * pairs // max(scored, 1))
    return costs


def with_all_logits(model, passes, batch):
    """The same passes, had the head been asked for the logits of every token fed."""
    for each in passes:
        with counting() as counter:
            model.lm_head(torch.zeros(batch, each.new, model.config.n_embd, dtype=model.dtype))
        yield replace(each, flops=replace(each.flops, head=flops_of(counter).head))


def bytes_of(each: Pass) -> dict:
    moves = {name: sum(getattr(each, name)) for name in ("written", "copied", "read", "up", "down")}
    held = {"slots": each.slots, "useful": each.useful, "nbytes": each.nbytes, "resident": each.resident[-1]}
    return {"rows": int(each.rows.sum()), **held, **moves}


def by_form(this: Situation) -> dict:
    """What a situation costs, by the closed forms."""
    options, rows = dict(this.options), {"batch": this.batch}
    chunk = {"prefill_chunk_size": this.prefill_chunk_size}
    kv = generation.kv_costs(
        this.name, this.config, this.prompt, this.new_tokens, itemsize=this.dtype.itemsize, **rows, **chunk, **options
    )
    costs = {"passes": [asdict(each) for each in kv]}
    whole, fed = (this.config, this.prompt, this.new_tokens), this.prompt + this.new_tokens - 1
    if this.name == "sliding_window":
        model = architecture_of(this.config)
        rings, most = caches.rings(model, options.get("chunk")), caches.ring_chunk(model, options.get("chunk"))
        rows |= {"slots": tuple(rings[window] for window in model.windows)}
        chunk = {"prefill_chunk_size": min(this.prefill_chunk_size or most, most)}
    if this.name == "quantized_static":  # of its slots, attention is given those in use
        most = options.get("chunk", CHUNK)
        chunk = {"prefill_chunk_size": min(this.prefill_chunk_size or most, most)}
    elif "static" in this.name:
        rows |= {"slots": options.get("max_cache_len", fed)}
    for attention in ("dense", "causal"):
        for logits in ("last", "all"):
            ways = {"attention": attention, "logits": logits}
            if this.name == "none":
                costs["prefill", attention, logits] = cost.prefill_flops(this.config, this.prompt, **ways, **rows)
                costs["generation", attention, logits] = cost.uncached_flops(*whole, **ways, **rows)
                costs["last step", attention, logits] = cost.prefill_flops(this.config, fed, **ways, **rows)
            else:
                prefill = cost.prefill_flops(this.config, this.prompt, **ways, **rows, **chunk)
                costs["prefill", attention, logits] = prefill
                costs["generation", attention, logits] = cost.cached_flops(*whole, **ways, **rows, **chunk)
                costs["last step", attention, logits] = cost.decode_flops(this.config, fed, attention=attention, **rows)
            if this.new_tokens == 1:  # the prefill is all there is
                costs["last step", attention, logits] = Flops()
    return costs


counted_once = remember(counted)
