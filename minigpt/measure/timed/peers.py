"""Other libraries, with the same weights: transformers in three ways, and CTranslate2."""

import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch

from minigpt.language_model import LanguageModel
from minigpt.measure.timed.contestants import Contestant, Generate, exact_in
from minigpt.measure.timed.in_ctranslate2 import generator, translated


def peer(name: str, model: LanguageModel) -> Contestant:
    """Raises ValueError for an unknown name, where the library is not installed, and for a model that it can't have."""
    if name not in PEERS:
        raise ValueError(f"no peer is named {name!r}; there are {', '.join(PEERS)} (put spaces between)")
    try:
        model.form.settings(model.config)
    except ValueError as error:
        raise ValueError(f"{error}, and a peer computes what a file can say: leave out --window") from error
    return Contestant(name, model, "dynamic", exact_in(model.dtype), PEERS[name](model))


def transformers(model, cache: str = "dynamic", compiled: bool = False) -> Generate:
    theirs = in_transformers(model)
    from transformers import CompileConfig

    how: dict[str, Any] = {
        "cache_implementation": cache,
        "disable_compile": not compiled,
        "do_sample": False,
        "pad_token_id": 0,
    }
    if compiled:
        how["compile_config"] = CompileConfig()
        how["compile_config"]._compile_all_devices = True  # else it compiles on a GPU alone

    def generate(ids, new_tokens, streamer):
        count = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
        return theirs.generate(ids, attention_mask=torch.ones_like(ids), streamer=streamer, **count, **how)

    return generate


@lru_cache(maxsize=1)
def in_transformers(model):
    """transformers' own with the model's weights, in its dtype, where it is. No token ends a text."""
    try:
        from transformers import AutoModelForCausalLM, logging
    except ImportError as error:
        raise ValueError("--peer transformers needs it installed: pip install transformers") from error
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype).to(model.device).eval()
    theirs.generation_config.eos_token_id = None
    return theirs


def ctranslate2(model) -> Generate:
    return partial(translated, generator(model))


PEERS: dict[str, Callable[..., Generate]] = {
    "transformers": transformers,
    "transformers_static": partial(transformers, cache="static"),
    "transformers_compiled": partial(transformers, cache="static", compiled=True),
    "ctranslate2": ctranslate2,
}
