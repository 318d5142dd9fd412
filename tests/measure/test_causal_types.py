"""`memory` is held to the bytes in the caches of tiny models of every causal type that transformers has.

Each type is counted right, or refused with what it keeps and what to do; where it differs from transformers, it is
listed here with the reason. A config is read as a whole, as transformers saves it, and with no more than its type
doesn't fill in by itself: real files leave their defaults out.
"""

import functools
import json
import math
from dataclasses import replace

import pytest
from causal_types import CAUSAL, counted, fields, given, held, read_inside, recorded, tiny
from mutants import mutate
from recorded_version import of_recorded_version
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from minigpt.measure.forms import memory
from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.config_json import Config, read
from minigpt.measure.forms.config_keys import ALONE, ASK, Keys
from minigpt.measure.forms.config_types import ENCODERS, REFUSED, REMOTE, TYPES

TOKENS, PROMPT = 10, 8  # past the window of 5, and two steps more

# Ways to set up a type, beside its usual one: each changes what is kept, or looks as if it did.
CHANGES = {
    "falcon": [{"multi_query": False}, {"new_decoder_architecture": True, "num_kv_heads": 2}],
    "gpt_bigcode": [{"multi_query": False}],
    "laguna": [{"layer_types": ["full_attention", "sliding_attention"] * 3}],
    "mellum": [{"layer_types": ["full_attention", "sliding_attention"] * 3}],
    "minicpm3": [{"kv_lora_rank": 20}],
    "qwen2": [{"use_sliding_window": True, "max_window_layers": 4}, {"max_window_layers": 2}],
    "qwen2_moe": [{"layer_types": ["full_attention", "sliding_attention"] * 3, "use_sliding_window": True}],
    "qwen3": [{"use_sliding_window": True, "max_window_layers": 3}],
    "qwen3_moe": [{"use_sliding_window": True}],
    "smollm3": [{"layer_types": ["full_attention", "sliding_attention"] * 3, "use_sliding_window": True}],
}
for kind in ("mistral", "mixtral", "phi3", "starcoder2", "ministral3", "phimoe", "doge"):
    CHANGES[kind] = [{"sliding_window": None}]
for kind in ("llama", "gemma", "qwen3", "granite", "olmo2", "phi", "cohere"):
    CHANGES.setdefault(kind, []).append({"num_key_value_heads": 4 if kind in ("gemma", "qwen3") else None})
for kind in ("arcee", "glm4_moe", "gpt2", "gpt_neox", "gptj", "llama", "mistral", "olmo", "opt", "qwen2"):
    CHANGES.setdefault(kind, []).append({"head_dim": 24})
CASES = [(kind, change) for kind in counted() for change in [{}, *CHANGES.get(kind, [])]]

# Where transformers' cache holds something else than is counted: why, and what it is.
DIFFERS = {
    ("falcon", "new_decoder_architecture"): (
        "it keeps a key head once for each query head that shares it",
        lambda model: replace(model, kept={part: (4, size) for part, (_, size) in model.kept.items()}),
    ),
    ("gpt_neo", ""): (
        "its local layers keep tokens that none of their queries sees any more",
        lambda model: replace(model, windows=(None,) * model.layers),
    ),
}
# Types whose windows no rule of one line tells: without layer_types they are refused.
NEED_LAYER_TYPES = {"beam", "cwm", "flint", "granite_swa", "granitemoe_swa"}
READ_INSIDE = read_inside()


def numbers(model: Architecture) -> int:
    """The numbers that `memory` counts, by transformers' convention: after a step a layer with a window of W keeps the
    W - 1 tokens that the next one sees beside itself, while our ring has a slot for that one, too."""
    model = replace(model, windows=tuple(window and window - 1 for window in model.windows))
    name = "sliding_window" if any(model.windows) else "concat"
    return memory.held(name, model, TOKENS).nbytes // memory.EXACT


@functools.cache
def really(number: int) -> tuple[dict, int]:
    """The config of a case, and the numbers in the cache of its model."""
    kind, change = CASES[number]
    config = tiny(kind, **change)
    return config, sum(math.prod(shape) for layer in held(config, TOKENS, PROMPT) for shape in layer)


def is_right(number: int) -> bool:
    """Whether the numbers in the cache are counted from the whole config, and from the keys that it was made of."""
    kind, change = CASES[number]
    config, held_numbers = really(number)
    files = [config.to_dict()]
    if kind not in NEED_LAYER_TYPES:
        files.append({"model_type": kind} | given(kind, **change))
    models = [read(keys, kind) for keys in files]
    if differs := DIFFERS.get((kind, next(iter(change), ""))):
        assert all(numbers(model) < held_numbers for model in models), f"{kind} is listed, and doesn't differ"
        models = map(differs[1], models)
    return all(numbers(model) == held_numbers for model in models)


def as_saved(config, folder) -> dict:
    config.save_pretrained(folder)
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def least(config) -> dict:
    """No key that has the value which its class gives it anyway."""
    defaults = fields(config.model_type)
    return {key: each for key, each in config.to_dict().items() if key not in defaults or each != defaults[key]}


def name(number: int) -> str:
    kind, change = CASES[number]
    return "-".join([kind, *change])


@pytest.mark.parametrize("number", range(len(CASES)), ids=name)
def test_it_counts_what_the_cache_of_a_tiny_model_holds(number):
    assert is_right(number)


@pytest.mark.parametrize("number", range(len(CASES)), ids=name)
def test_a_saved_file_says_the_same(number, tmp_path):
    kind, change = CASES[number]
    config = tiny(kind, **change)
    assert read(as_saved(config, tmp_path), kind) == read(config.to_dict(), kind)


@pytest.mark.parametrize("kind", counted())
def test_what_a_file_leaves_out_is_filled_in_as_transformers_does(kind):
    config = tiny(kind)
    keys, defaults = least(config), CONFIG_MAPPING[kind]()
    assert read(keys, kind) == read(config.to_dict(), kind)
    if "layer_types" in fields(kind):
        del keys["layer_types"]
    if kind in NEED_LAYER_TYPES:
        with pytest.raises(ValueError, match=r"a sliding_window, but no layer_types .* add them .* or make"):
            read(keys, kind)
    else:
        assert read(keys, kind) == read(config.to_dict(), kind)
    if kind not in NEED_LAYER_TYPES and kind != "glm4_moe":  # its own defaults don't fit each other
        is_decoder = {"is_decoder": True} if kind in ENCODERS else {}
        assert read({"model_type": kind} | is_decoder, kind) == read(defaults.to_dict() | is_decoder, kind)


@of_recorded_version
def test_types_json_is_what_transformers_says():
    """If not: python tests/measure/causal_types.py"""
    assert TYPES.keys() - REMOTE.keys() == {*counted()}
    for kind in counted():
        assert TYPES[kind] == json.loads(json.dumps(recorded(kind))), kind


NOT_COUNTED = [kind for kind in CAUSAL if kind not in counted()]


@pytest.mark.parametrize("kind", NOT_COUNTED)
def test_each_other_type_is_counted_by_its_text_or_refused_with_what_to_do(kind):
    if kind in READ_INSIDE:
        text = tiny(READ_INSIDE[kind]).to_dict()
        assert read({"model_type": kind, "text_config": text}, kind) == read(text, kind)
        return
    with pytest.raises(ValueError, match="a test: ") as refusal:
        read({"model_type": kind, "text_config": {"model_type": f"{kind}_text_model"}}, "a test")
    message = str(refusal.value)
    assert message.endswith((ASK, ALONE)) if kind in REFUSED else "take model_type out of a copy" in message


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_is_not_a_decoder(kind):
    with pytest.raises(ValueError, match=r"an encoder, not a decoder.* ask about a decoder"):
        read(CONFIG_MAPPING[kind]().to_dict(), "a test")


def test_a_type_is_counted_or_refused_and_most_are_counted():
    """The numbers: python tests/measure/causal_types.py"""
    assert not TYPES.keys() & REFUSED.keys()
    assert len(set(counted()) & set(CAUSAL)) + len(READ_INSIDE) > len(CAUSAL) / 2
    assert {"emu3", "fuyu", "gemma3", "got_ocr2"} <= READ_INSIDE.keys()
    assert {kind for kind, _ in DIFFERS} == {"falcon", "gpt_neo"}


MUTANTS = {
    "all heads share one": (Config, "kv_heads", "and not self.keys", "or not self.keys"),
    "the query heads are taken": (Config, "kv_heads", 'number("num_key_value_heads")', 'number("num_attention_heads")'),
    "DBRX is like others": (Config, "kv_heads", 'if self.has("kv_n_heads", attention)', "if False"),
    "a latent is not seen": (Config, "kept", 'if self.has("kv_lora_rank")', "if False"),
    "all layers have the window": (Config, "sliding", 'self.keys[ALL_SLIDE] for', "True for"),
    "the pattern is off by one": (Config, "sliding", "(layer + 1) % period", "layer % period"),
    "the first layers have the window": (Config, "sliding", "layer >= first", "layer < first"),
    "the other layers have the window": (Config, "listed", "kind == sliding for", "kind == full for"),
    "use_sliding_window is ignored": (Config, "sliding", 'or self.keys.get("use_sliding_window") is False', ""),
    "a key is read that the type doesn't know": (Keys, "__init__", "if key not in unread", ""),
    "a second name is not read": (Keys, "renamed", "if number is not None and", "if False and"),
}  # fmt: skip
FEW = "cohere2", "dbrx", "deepseek_v3", "falcon", "gpt2", "gpt_bigcode", "gemma2", "laguna", "mistral", "qwen2", "qwen3"


@pytest.mark.parametrize("bug", MUTANTS)
def test_a_tiny_model_notices_that(bug, monkeypatch):
    few = [number for number, (kind, _) in enumerate(CASES) if kind in FEW]
    assert all(map(is_right, few))
    mutate(monkeypatch, *MUTANTS[bug])
    assert any(map(is_wrong, few)), f"nothing noticed that {bug}"


def is_wrong(number: int) -> bool:
    try:
        return not is_right(number)
    except (AssertionError, ValueError):
        return True
