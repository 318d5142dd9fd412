"""The situations in which a cache must equal its oracle: who sees whom, heads, padding, ways to feed a text."""

import itertools
from functools import cache as remember

import torch

from minigpt.attention import NEVER
from minigpt.cache import CACHES, cache_options, make_cache
from minigpt.config import GPTConfig
from minigpt.language_model import LanguageModel
from minigpt.model import GPT
from minigpt.proof.oracles import OPTIONS

NAMES = [name for name in CACHES if name != "none"]
FULL = [name for name in NAMES if not CACHES[name].needs_window]  # those that serve a model that sees everything
LIMITED = [name for name in NAMES if "max_cache_len" in cache_options(name)]

WINDOW, SINKS = 6, 2
RULES: dict[str, dict] = {
    "full": {},
    "window": {"window": WINDOW},
    "window with sinks": {"window": WINDOW, "sinks": SINKS},
    "hybrid": {"window": [WINDOW, None]},
    "hybrid with sinks": {"window": [WINDOW + 3, WINDOW], "sinks": SINKS},
}
ALIKE = [rule for rule in RULES if "hybrid" not in rule]  # all layers see as far
HEADS = {"MHA": 4, "GQA": 2}
PROMPT, DECODE = 21, 6
SCHEDULES = {
    "one prefill": [PROMPT],
    **{f"chunks of {size}": [size] * -(-PROMPT // size) for size in (1, 3, 7, WINDOW - 1, WINDOW, WINDOW + 1)},
    "mixed": [4, 1, 1, 9, 2, 4],
}
PADDING = {"plain": [0, 0, 0], "ragged left padding": [0, 3, 9]}

# Long texts: past every size of a block that a cache may have, several doublings, and five turns of a ring.
LONG, EDGES = 600, (16, 64, 128, 256, 512)
LONG_RULES: dict[str, dict] = {"full": {}, "window": {"window": 60}, "window with sinks": {"window": 60, "sinks": 4}}
ENDS = [*(edge + side for edge in EDGES for side in (-1, 0, 1)), LONG]  # before an edge, on it, and behind it
LONG_SCHEDULES = {
    "from edge to edge": [end - start for start, end in itertools.pairwise([0, *ENDS])],
    "one token at a time": [1] * LONG,
    "chunks of 37": [37] * -(-LONG // 37),
}


def rule_for(name: str) -> str:
    """The simplest rule that the cache can serve."""
    return "window" if CACHES[name].needs_window else "full"


def pairs() -> list[tuple[str, str]]:
    """Each cache with each rule that it can serve."""
    return [(name, rule) for name in NAMES for rule in RULES if rule != "full" or not CACHES[name].needs_window]


def long_pairs() -> list[tuple[str, str]]:
    return [(name, rule) for name, rule in pairs() if rule in LONG_RULES]


def new_cache(name, gpt, rows, options=None):
    """An empty cache for these tests, by default with the options that let it show what it does in short texts."""
    options = OPTIONS.get(name, {}) if options is None else options
    return make_cache(name, gpt.config, batch_size=rows, dtype=torch.float64, **options)


def pieces(cache, start: int, end: int) -> list[slice]:
    """start to end, in as few pieces as the cache can take at once."""
    step = cache.largest_chunk or end - start
    return [slice(at, min(at + step, end)) for at in range(start, end, step)]


def sizes(fed: list[slice]) -> list[int]:
    return [piece.stop - piece.start for piece in fed]


@remember
def model(rule="full", heads="MHA", dtype=torch.float64) -> LanguageModel:
    """Random weights, large enough that attention is far from uniform and every position matters."""
    config = GPTConfig(vocab_size=53, context=40, n_layer=2, n_head=4, n_kv_head=HEADS[heads], n_embd=32, **RULES[rule])
    return random_model(config).to(dtype)


@remember
def long_model(rule) -> LanguageModel:
    """Small, since its texts are long."""
    return random_model(GPTConfig(vocab_size=53, context=LONG, n_layer=1, n_head=2, n_embd=16, **LONG_RULES[rule]))


def random_model(config) -> LanguageModel:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        gpt = GPT(config).double()
        for parameter in gpt.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return gpt.eval()


def text(pads: list[int], length: int, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids (B, length) and their positions, with so many pads on the left of each row."""
    ids = torch.randint(53, (len(pads), length), generator=torch.Generator().manual_seed(seed))
    positions = torch.arange(length) - torch.tensor(pads)[:, None]
    return ids, positions.masked_fill(positions < 0, NEVER)
