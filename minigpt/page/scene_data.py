"""What the scenes `memory` and `forget` are about: the sizes of real models, and people, things and a story."""

import json
from collections import Counter

import numpy as np
from tokenizers import Tokenizer

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.config_json import Config
from minigpt.measure.forms.real_models import MODELS, NAMES, RECALL, content, load
from minigpt.recall.corpus import NAMES as PEOPLE
from minigpt.recall.corpus import THINGS, WEIGHTS, held_out

# What each is called, and its parameters as its makers publish them (rounded; all experts of a mixture count).
PUBLISHED = {
    "gpt2": ("GPT-2", 0.124e9),
    "gpt2-xl": ("GPT-2 XL", 1.56e9),
    "llama-3-8b": ("Llama 3 8B", 8.03e9),
    "llama-3.1-8b": ("Llama 3.1 8B", 8.03e9),
    "llama-3-70b": ("Llama 3 70B", 70.6e9),
    "mistral-7b": ("Mistral 7B v0.1", 7.24e9),
    "qwen3-0.6b": ("Qwen3 0.6B", 0.596e9),
    "qwen3-8b": ("Qwen3 8B", 8.19e9),
    "qwen3-32b": ("Qwen3 32B", 32.8e9),
    "gemma-3-4b": ("Gemma 3 4B", 4.3e9),
    "gemma-3-27b": ("Gemma 3 27B", 27.4e9),
    "gpt-oss-120b": ("gpt-oss 120B", 117e9),
    "deepseek-v3": ("DeepSeek-V3", 671e9),
}
# Published in fewer bits a weight than 16, of most weights.
PUBLISHED_BITS = {"gpt-oss-120b": 4, "deepseek-v3": 8}
STORY = "Our revels now are ended"  # where the story begins in the held-out play
LEAD = 2  # lines of the play come before the facts: else the first fact would lie on the sinks, and a window keep it
LONG = 480  # tokens of the story


def memory() -> list[dict]:
    """Of each model that `python -m minigpt memory` knows by name: what it keeps of a token, and its parameters."""
    return [real_model(name) for name in NAMES]


def real_model(name: str) -> dict:
    model = load(name)
    keys = content(RECALL / "config.json" if name == "recall" else MODELS / f"{name}.json")
    heads = Config(keys.get("text_config", keys), name).number("num_attention_heads")
    label, parameters = PUBLISHED.get(name) or ("recall", trained_parameters())
    return {
        "name": name,
        "label": label,
        "parameters": round(parameters),
        "published_bits": PUBLISHED_BITS.get(name),
        "kind": kind(model, heads),
        "heads": heads,
        "kept": [*model.kept.values()],
        "windows": [*Counter(model.windows).items()],  # (tokens or null, layers)
        "context": model.context,
    }


def kind(model: Architecture, heads: int) -> str:
    """How the heads of a layer share what is kept."""
    if "latent" in model.kept:
        return "MLA"
    return "MHA" if model.kept["keys"][0] == heads else "GQA"


def trained_parameters() -> int:
    return json.loads((WEIGHTS / "curve.json").read_text(encoding="utf-8"))["parameters"]


def forget() -> dict:
    """Token ids of the people and things that the bundled model was taught about, and of a story that it never read."""
    text, tokenizer = held_out(), Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    begin = len(tokenizer.encode(tokenizer.decode(text.ids.tolist()).partition(STORY)[0]).ids)
    lead = text.line_starts[np.searchsorted(text.line_starts, begin) - LEAD]
    return {
        "open": text.open,
        "close": text.close,
        "people": dict(zip(PEOPLE, text.names.tolist(), strict=True)),
        "things": dict(zip(THINGS, text.things.tolist(), strict=True)),
        "lead": (before := text.ids[lead:begin].tolist()),
        "before": tokenizer.decode(before),
        "story": (story := text.ids[begin : begin + LONG].tolist()),
        "texts": [tokenizer.decode([each]) for each in story],
    }
