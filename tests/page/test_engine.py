"""The page's engine against torch: run by Node, all answers from one process."""

import hashlib
import random
import re
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

import minigpt
from minigpt.attention import NEVER, sees
from minigpt.cache import NoCache, make_cache
from minigpt.cache.quantized.codec import Codec, group_shape
from minigpt.cache.quantized.formats import MinMax
from minigpt.generate import next_logits
from minigpt.measure.counted.trace import trace
from minigpt.page import node
from minigpt.recall.corpus import held_out
from minigpt.sampling import keep_top_k

ANSWERS = Path(__file__).with_name("engine_answers.mjs")
pytestmark = pytest.mark.skipif(not node.there(), reason="no `node` on the path: the page's engine is not tested")

CLOSE = 1e-4  # of logits: float32 in another order (the issue of a page asks for 1e-3)
LENGTHS = 1, 7, 40, 90  # of the prompts, 25 each
NEW = 20
CHANNELS = {"q_group_size": 16, "residual_length": 8, "group_key": "channel"}
CACHES = {  # name: (cache, options; window and sinks are the model's)
    "none": ("none", {}),
    "none, windowed": ("none", {"window": 16, "sinks": 2}),
    "dynamic": ("dynamic", {}),
    "dynamic, windowed": ("dynamic", {"window": 16, "sinks": 2}),
    "ring": ("sliding_window", {"window": 16}),
    "ring with sinks": ("sliding_window", {"window": 16, "sinks": 2}),
    "tight ring": ("sliding_window", {"window": 5, "chunk": 1, "sinks": 1}),
    "ring, chunks of 7": ("sliding_window", {"window": 16, "chunk": 7}),
    "ring wider than the text": ("sliding_window", {"window": 300, "sinks": 4}),
    "quantized": ("quantized", {}),
    **{f"int{bits} by token": ("quantized", {"nbits": bits, "residual_length": 8}) for bits in (8, 4, 2)},
    **{f"int{bits} by channel": ("quantized", {"nbits": bits, **CHANNELS}) for bits in (8, 4, 2)},
    "values by channel": ("quantized", {"nbits": 4, **CHANNELS, "group_key": "token", "group_value": "channel"}),
    "groups of 2 tokens": ("quantized", {"nbits": 4, "q_group_size": 128, "residual_length": 0}),
    "4 groups a head": ("quantized", {"nbits": 4, "q_group_size": 16, "residual_length": 1}),
}
# A number that lies in the middle between two codes may get the one here and the other there. Of sixty codes flipped at
# random, the worst moved a logit by 4e-5 (8 bits), 7e-4 (4 bits), 4e-3 (2 bits): five of these are allowed.
FLIPPED = {8: 2e-4, 4: 4e-3, 2: 2e-2}


@pytest.fixture(scope="module")
def model():
    return minigpt.load("recall")


@pytest.fixture(scope="module")
def tokenizer():
    return minigpt.load_tokenizer("recall")


def prose(start, length):
    return torch.from_numpy(held_out().ids[start : start + length].astype(np.int64))


PROMPTS = [[prose(97 * i + 31 * length, length) for i in range(25)] for length in LENGTHS]  # a batch of each length
PROMPT_NAMES = [f"prompt {length} {i}" for length in LENGTHS for i in range(25)]
TEXT, FED = prose(4000, 75), 60  # a prompt of 60 tokens, then one by one


def rounded_text(seed):
    """Any characters, some that the tokenizer has words for, and its added tokens among them."""
    draw = random.Random(seed)
    pieces = [
        lambda: draw.choice(["Romeo", " Juliet", "[Give", ".]\n", " ruby", "the ", "'ll", "'S", "don't", "HAMLET.\n"]),
        lambda: "".join(chr(draw.randrange(32, 127)) for _ in range(draw.randrange(1, 12))),
        lambda: draw.choice([" ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u0085", "\u3000", "\ufeff", "\u200b", "\x1c"]),
        lambda: "".join(draw.choice("Ünïcødé 今天天气 ½²٣Ⅷ 🙂👩‍🚀 ’… שלום हिन्दी") for _ in range(draw.randrange(1, 9))),
        lambda: chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])),
    ]
    return "".join(draw.choice(pieces)() for _ in range(draw.randrange(1, 20)))


TEXTS = ["", *(rounded_text(seed) for seed in range(300))]
ANY_IDS = [[random.Random(seed).randrange(1024) for _ in range(30)] for seed in range(50)]
DRAWN = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
DRAWN[:16] = 0.25  # equal numbers have no scale of their own
for start, top in ((16, 3), (32, 15), (48, 255)):
    halves = torch.tensor([0, *[0.5, 1.5, 2.5, 0.5, 1.5, 2.5, 2.0] * 2, top])  # in the middle between two codes
    DRAWN[start : start + 16, 64:] = halves[:, None]
    DRAWN[start, :64] = halves.repeat(4)
NUMBERS = DRAWN.flatten().tolist()
CODECS = [(bits, group, size) for bits in (8, 4, 2) for group, size in [("token", 16), ("token", 128), ("channel", 16)]]
ODDS = [2.0, 1.0, 0.0, -1.0, 1.0, -3.0]
DRAWS = [(1.0, 0), (0.5, 0), (2.0, 3), (1.0, 2), (1.0, 1)]  # temperature, topK
COUNT = 20_000
SPEECH = "HAMLET.\nTo be, or not to be, that is the question"
BUGS = "wrong_position", "mask_in_the_wrong_corner", "stale_cache", "ring_one_short", "rounded_twice"
RIGHT = {
    "dynamic": {"cache": "dynamic"},
    "dynamic used before": {"cache": "dynamic", "earlier": "ROMEO.\nO Juliet"},
    "ring": {"cache": "sliding_window", "options": {"window": 16, "chunk": 1, "sinks": 2}},
    "quantized": {"cache": "quantized", "options": {"nbits": 2, **CHANNELS}},
}


def followed(name, text, prompt):
    cache, options = CACHES[name]
    return {"kind": "followed", "text": text.tolist(), "prompt": prompt, "cache": cache, "options": options}


def generated(name, prompt, new):
    cache, options = CACHES[name]
    return {"prompt": prompt.tolist(), "cache": cache, "options": options, "newTokens": new}


REQUESTS = {
    "weights": {"kind": "weights"},
    "encoded": {"kind": "encoded", "texts": TEXTS},
    "decoded": {"kind": "decoded", "texts": ANY_IDS},
    "streamed": {"kind": "streamed", "texts": ANY_IDS},
    **{name: followed("dynamic", ids, len(ids)) for name, ids in zip(PROMPT_NAMES, chain(*PROMPTS), strict=True)},
    "greedy": {"kind": "generated", "requests": [generated("dynamic", ids, NEW) for ids in chain(*PROMPTS)]},
    "uncached": {"kind": "generated", "requests": [generated("none", ids, 6) for each in PROMPTS for ids in each[:2]]},
    **{f"followed {name}": followed(name, TEXT, FED) for name in CACHES},
    **{f"counted {name}": {"kind": "generated", "requests": [generated(name, TEXT[:40], 20)]} for name in CACHES},
    **{f"watched {name}": {"kind": "watched", "request": generated(name, TEXT[:40], 4)} for name in CACHES},
    **{
        f"coded {bits, group, size}": {"kind": "coded", "bits": bits, "group": group, "size": size, "numbers": NUMBERS}
        for bits, group, size in CODECS
    },
    **{
        f"drawn {heat, top}": {
            "kind": "drawn",
            "logits": ODDS,
            "temperature": heat,
            "topK": top,
            "seed": 5,
            "count": COUNT,
        }
        for heat, top in DRAWS
    },
    **{f"random {seed}": {"kind": "random", "seed": seed, "count": 1000} for seed in (0, 1, 2**40 + 1)},
    **{f"bug {bug}": {"kind": "compared", "request": {"prompt": SPEECH, "newTokens": 20, "bug": bug}} for bug in BUGS},
    **{
        f"right {name}": {"kind": "compared", "request": {"prompt": SPEECH, "newTokens": 12, **RIGHT[name]}}
        for name in RIGHT
    },
    "bugs": {"kind": "bugs"},
    "refused empty": {"kind": "refused", "request": {"prompt": ""}},
    "refused long": {"kind": "refused", "request": {"prompt": "To be " * 300}},
    "refused cache": {"kind": "refused", "request": {"prompt": "To be", "cache": "lru"}},
    "refused ring": {"kind": "refused", "request": {"prompt": "To be", "cache": "sliding_window"}},
    "refused bits": {"kind": "refused", "request": {"prompt": "To be", "cache": "quantized", "options": {"nbits": 3}}},
    "refused group": {
        "kind": "refused",
        "request": {"prompt": "To be", "cache": "quantized", "options": {"q_group_size": 48}},
    },
    "all of the context": {"kind": "refused", "request": {"prompt": "\n", "newTokens": 512, "cache": "dynamic"}},
    "served": {"kind": "served", "request": {"prompt": SPEECH, "newTokens": 8}, "read": 100},
    "stopped": {"kind": "served", "request": {"prompt": SPEECH, "newTokens": 8}, "read": 3},
    "served empty": {"kind": "served", "request": {"prompt": ""}, "read": 3},
}


def asked(names, engine=node.ENGINE):
    """The answers by their names in REQUESTS."""
    return dict(zip(names, node.ask(ANSWERS, [REQUESTS[name] for name in names], engine), strict=True))


@pytest.fixture(scope="module")
def answers():
    return asked([*REQUESTS])


def of_prompts(model, answers):
    """The logits behind the hundred prompts: the engine's, and torch's."""
    with torch.inference_mode():
        theirs = torch.cat([next_logits(model, torch.stack(batch), None, NoCache()) for batch in PROMPTS])
    return torch.tensor([answers[name][0] for name in PROMPT_NAMES]), theirs


def served_by(model, options):
    """The model with its window, and the options of the cache."""
    window, sinks = options.get("window"), options.get("sinks", 0)
    rest = {name: value for name, value in options.items() if name not in ("window", "sinks")}
    return (model if window is None else model.with_window(window, sinks)), rest


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


@pytest.mark.parametrize("name", [name for name in CACHES if "ring" in name])
def test_a_ring_gives_what_the_windowed_model_gives_without_a_cache(model, answers, name):
    ours = torch.tensor(answers[f"followed {name}"])
    windowed, _ = served_by(model, CACHES[name][1])
    with torch.inference_mode():
        theirs = windowed(TEXT[None])[0, FED - 1 :]
    assert (ours - theirs).abs().max() < CLOSE
    if CACHES[name][1].get("window") == 16 and CACHES[name][1].get("sinks") == 2:
        assert (ours - torch.tensor(answers["followed none, windowed"])).abs().max() < CLOSE


@pytest.mark.parametrize("name", CACHES)
def test_each_cache_gives_what_it_gives_in_torch(model, answers, name):
    cache, options = CACHES[name]
    served, rest = served_by(model, options)
    theirs = make_cache(cache, served.config, **rest)
    with torch.inference_mode():
        expected = torch.cat([next_logits(served, TEXT[None, :end], None, theirs) for end in range(FED, len(TEXT) + 1)])
    close = FLIPPED[options.get("nbits", 4)] if cache == "quantized" else CLOSE
    assert (torch.tensor(answers[f"followed {name}"]) - expected).abs().max() < close


@pytest.mark.parametrize("name", CACHES)
def test_rows_computed_and_bytes_held_are_those_that_python_counts(model, answers, name):
    cache, options = CACHES[name]
    served, rest = served_by(model, options)
    (steps,) = answers[f"counted {name}"]
    passes = trace(served, TEXT[None, :40], len(steps), cache, **rest).passes
    ends = range(len(passes) - len(steps) + 1, len(passes) + 1)  # a prompt may take several passes
    rows = [sum(each.rows for each in passes[:end]) for end in ends]  # (L, P) after each step
    assert [step["rows"] for step in steps] == [int(each.sum()) for each in rows]
    assert [step["needed"] for step in steps] == [int((each > 0).sum()) for each in rows]
    assert [step["nbytes"] for step in steps] == [passes[end - 1].nbytes for end in ends]
    held = range(40, 40 + len(steps))
    assert [step["length"] for step in steps] == [n if cache != "none" else 0 for n in held]
    assert [step["step"] for step in steps] == [*range(len(steps))]
    assert all(step["ms"] > 0 for step in steps)


class Reading:
    """What a cache in torch gives attention in a pass: of each layer, keys and values (S, C), and positions."""

    def __init__(self, cache):
        self.layers, self.update = [], cache.update
        cache.update = self.noted

    def noted(self, k, v, layer):
        k, v, positions = self.update(k, v, layer)
        at = torch.arange(k.shape[1]) if positions is None else positions[0].clone()
        self.layers.append((k[0].flatten(1).clone(), v[0].flatten(1).clone(), at))
        return k, v, positions


@pytest.fixture(scope="module")
def watched(model, answers):
    """By cache: for each step and layer, what the page shows, and what torch's cache gave attention."""

    def pairs(name):
        cache, options = CACHES[name]
        served, rest = served_by(model, options)
        theirs, steps = make_cache(cache, served.config, **rest), answers[f"watched {name}"]
        text = torch.tensor([*TEXT[:40].tolist(), *(step["id"] for step in steps)])
        reading = Reading(theirs)
        for step, end in zip(steps, range(40, len(text)), strict=True):
            with torch.inference_mode():
                next_logits(served, text[None, :end], None, theirs)
            yield step["step"], step["layers"], reading.layers[-len(step["layers"]) :], theirs

    return pairs


@pytest.mark.parametrize("name", CACHES)
def test_a_step_shows_the_keys_and_values_that_attention_reads(watched, name):
    flips = CACHES[name][0] == "quantized"
    for _, layers, expected, _ in watched(name):
        for shown, (keys, values, positions) in zip(layers, expected, strict=True):
            assert shown["positions"] == positions.tolist()
            for ours, theirs in ((shown["keys"], keys), (shown["values"], values)):
                apart = (torch.tensor(ours).view(theirs.shape) - theirs).abs()
                assert (apart > CLOSE).float().mean() <= flips * 1e-3  # of a flipped code, the rest of its layer's too


@pytest.mark.parametrize("name", CACHES)
def test_a_step_shows_what_is_empty_exact_or_rounded_and_when_it_was_computed(watched, name):
    kind = CACHES[name][0]
    for step, layers, expected, cache in watched(name):
        for layer, (shown, (_, _, at)) in enumerate(zip(layers, expected, strict=True)):
            empty, prefill = at == NEVER, at < 40
            blocks = cache.kv[layer][2:] if kind == "quantized" else ()
            rounded = (
                [codec.tokens_in(each) for codec, each in zip(cache.codecs, blocks, strict=True)] if blocks else [0, 0]
            )
            for what, count in zip(("state", "valueState"), rounded, strict=True):
                assert shown[what] == torch.where(empty, 0, 1 + (at < count).int()).tolist()
            first = torch.where(prefill, 0, at - 39)  # token 40 is the first that is fed by itself
            last = torch.full_like(at, step) if kind == "none" else first
            assert shown["computed"] == last.masked_fill(empty, -1).tolist()
            assert (
                shown["times"]
                == (last - first + 1 if kind != "none" else step - first + 1).masked_fill(empty, 0).tolist()
            )


@pytest.mark.parametrize("name", CACHES)
def test_a_step_shows_the_newest_tokens_attention(model, watched, name):
    served, _ = served_by(model, CACHES[name][1])
    for step, layers, expected, _ in watched(name):
        newest = torch.tensor([[39 + step]])
        for shown, (_, _, at) in zip(layers, expected, strict=True):
            weights = torch.tensor(shown["attention"]).view(2, -1)
            assert torch.allclose(weights.sum(1), torch.ones(2), atol=1e-5)
            assert ((weights > 0) == sees(newest, at[None], served.config.window, served.config.sinks)[0, 0]).all()


@pytest.mark.parametrize("codec", CODECS)
def test_numbers_become_the_same_bytes_and_are_read_as_the_same_numbers(answers, codec):
    bits, group, size = codec
    theirs = Codec(MinMax(bits), group_shape(group, size, 2, 64), (2, 64), torch.float32)
    blocks = theirs.write(torch.tensor(NUMBERS).view(1, 64, 2, 64))
    assert answers[f"coded {codec}"]["blocks"] == blocks[0].tolist()
    assert answers[f"coded {codec}"]["read"] == theirs.read(blocks).flatten().tolist()


def test_any_text_gives_the_same_ids(tokenizer, answers):
    assert len(set(TEXTS)) > 250
    for text, ids in zip(TEXTS, answers["encoded"], strict=True):
        assert ids == tokenizer.encode(text).ids, repr(text)


def test_any_ids_give_the_same_text_at_once_and_one_by_one(tokenizer, answers):
    for ids, text, parts in zip(ANY_IDS, answers["decoded"], answers["streamed"], strict=True):
        assert text == "".join(parts) == tokenizer.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("draw", DRAWS)
def test_tokens_are_drawn_as_often_as_their_odds_say(answers, draw):
    temperature, top_k = draw
    odds = keep_top_k(torch.tensor([ODDS]) / temperature, top_k).softmax(-1)[0]
    counts = torch.tensor(answers[f"drawn {draw}"])
    assert counts.sum() == COUNT
    assert (counts[odds == 0] == 0).all()
    spread = (COUNT * odds * (1 - odds)).sqrt()
    assert ((counts - COUNT * odds).abs() <= 4 * spread).all()


def test_a_seed_gives_numbers_from_0_to_1_and_another_seed_others(answers):
    several = [answers[f"random {seed}"] for seed in (0, 1, 2**40 + 1)]
    for numbers in several:
        assert 0 <= min(numbers) < 0.01
        assert 0.99 < max(numbers) < 1
    assert several[0] != several[1] == several[2], "a seed has 32 bits"


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_noticed_before_the_text_goes_wrong(answers, bug):
    found = answers[f"bug {bug}"]
    wrong, right = found["texts"]
    assert wrong != right
    first = found["first"]
    assert first["step"] == found["at"] >= 0
    assert {"layer", "position", "token", "what", "difference"} < first.keys()
    assert first["layer"] == 0


def test_where_each_bug_shows_first(answers, tokenizer):
    prompt = tokenizer.encode(SPEECH).ids
    firsts = {bug: answers[f"bug {bug}"]["first"] for bug in BUGS}
    assert {bug: (first["step"], first["position"], first["what"]) for bug, first in firsts.items()} == {
        "wrong_position": (1, len(prompt), "keys"),  # the prompt's positions are right
        "mask_in_the_wrong_corner": (1, 0, "attention"),  # all of it goes to the first key
        "stale_cache": (0, 0, "keys"),
        "ring_one_short": (0, len(prompt) - 16, "missing"),  # the oldest of the window
        "rounded_twice": (0, 0, "keys"),
    }
    assert firsts["ring_one_short"]["token"] == tokenizer.decode([prompt[-16]])


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_engine_is_not_taken_for_a_wrong_one(answers, name):
    assert answers[f"right {name}"]["first"] is None
    assert answers[f"right {name}"]["at"] == -1
    assert len(set(answers[f"right {name}"]["texts"])) == 1


def test_a_bug_is_one_changed_line(answers):
    assert [bug["name"] for bug in answers["bugs"]] == list(BUGS)
    for bug in answers["bugs"]:
        right, wrong = bug["right"].splitlines(), bug["wrong"].splitlines()
        apart = [(a.strip(), b.strip()) for a, b in zip(right, wrong, strict=True) if a != b]
        assert apart == [(bug["before"], bug["after"])]


REFUSED = {
    "empty": "the prompt is empty: type a word",
    "long": r"\d+ tokens and 20 new ones: the model reads 512 at most, shorten either",
    "cache": "no cache is named lru; there are none, dynamic, sliding_window, quantized",
    "ring": "this model sees all tokens before, and a ring wants a window: choose one",
    "bits": "nbits must be 1, 2, 4 or 8, got 3",
    "group": "groups by token want a q_group_size that divides 64 or is a multiple of it, got 48",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_request_is_refused_in_words(answers, what):
    assert re.fullmatch(REFUSED[what], answers[f"refused {what}"])


def test_a_text_may_fill_the_context(answers):
    assert answers["all of the context"] == 512


def test_the_worker_gives_the_steps_of_the_engine(answers, tokenizer):
    served = answers["served"]
    assert len(served["steps"]) == 8
    assert [token["id"] for token in served["tokens"]] == tokenizer.encode(SPEECH).ids
    assert "".join(token["text"] for token in served["tokens"]) == SPEECH
    assert served["asked"].count("next") == 9, "eight steps, and that there are no more"


def test_a_run_that_is_left_computes_nothing_more_and_is_forgotten(answers):
    assert answers["stopped"]["steps"] == answers["served"]["steps"][:3]
    assert answers["stopped"]["asked"] == ["load", "begin", *["next"] * 3, "end", "tokens"]


def test_a_refusal_in_the_worker_reaches_the_page(answers):
    assert answers["served empty"]["error"] == REFUSED["empty"]


MUTANTS = {  # file, before, after; the names of what is asked, and who notices
    "gelu's cube": ("tensor", "0.044715", "0.0447", PROMPT_NAMES, lambda each: test_logits_are_torchs(*each[:2])),
    "a window one too wide": (
        "attention",
        "key > query - window",
        "key >= query - window",
        ["followed ring"],
        lambda each: test_a_ring_gives_what_the_windowed_model_gives_without_a_cache(*each[:2], "ring"),
    ),
    "a sink in the ring": (
        "sliding",
        "position < sinks ?",
        "position < sinks - 1 ?",
        ["followed tight ring"],
        lambda each: test_a_ring_gives_what_the_windowed_model_gives_without_a_cache(*each[:2], "tight ring"),
    ),
    "room that triples": (
        "cache",
        "2 * buffer.length",
        "3 * buffer.length",
        ["counted dynamic"],
        lambda each: test_rows_computed_and_bytes_held_are_those_that_python_counts(*each[:2], "dynamic"),
    ),
    "rows that count twice": (
        "meter",
        "[position]++ === 0",
        "[position]++ <= 1",
        ["counted none"],
        lambda each: test_rows_computed_and_bytes_held_are_those_that_python_counts(*each[:2], "none"),
    ),
    "a residual one too short": (
        "codec",
        "exact - residual)",
        "exact - residual + 1)",
        ["followed int2 by token"],
        lambda each: test_each_cache_gives_what_it_gives_in_torch(*each[:2], "int2 by token"),
    ),
    "halves rounded up": (
        "codec",
        "x - below === 0.5",
        "x - below === 2",
        ["coded (4, 'token', 16)"],
        lambda each: test_numbers_become_the_same_bytes_and_are_read_as_the_same_numbers(each[1], (4, "token", 16)),
    ),
    "scales in double precision": (
        "codec",
        "fround(fround(high - low) / top)",
        "(high - low) / top",
        ["coded (8, 'channel', 16)"],
        lambda each: test_numbers_become_the_same_bytes_and_are_read_as_the_same_numbers(each[1], (8, "channel", 16)),
    ),
    "words without their space": (
        "tokenizer",
        r" ?\p{L}+",
        r"\p{L}+",
        ["encoded"],
        lambda each: test_any_text_gives_the_same_ids(each[2], each[1]),
    ),
    "no temperature": (
        "sampling",
        "/ temperature",
        "",
        ["drawn (0.5, 0)"],
        lambda each: test_tokens_are_drawn_as_often_as_their_odds_say(each[1], (0.5, 0)),
    ),
    "a bug that is right": (
        "bugs",
        "this.largestChunk - 2",
        "this.largestChunk - 1",
        ["bug ring_one_short"],
        lambda each: test_each_bug_is_noticed_before_the_text_goes_wrong(each[1], "ring_one_short"),
    ),
    "a run that nobody ends": (
        "client",
        'this.ask("end", { run });',
        "",
        ["served", "stopped"],
        lambda each: test_a_run_that_is_left_computes_nothing_more_and_is_forgotten(each[1]),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_the_engine_is_noticed(model, answers, tokenizer, mutant, tmp_path):
    file, before, after, names, notices = MUTANTS[mutant]
    notices((model, {name: answers[name] for name in names}, tokenizer))
    engine = shutil.copytree(node.ENGINE, tmp_path / "engine")
    source = (engine / f"{file}.mjs").read_text(encoding="utf-8")
    assert before in source
    (engine / f"{file}.mjs").write_text(source.replace(before, after), encoding="utf-8")
    with pytest.raises(AssertionError):
        notices((model, asked(names, engine), tokenizer))
