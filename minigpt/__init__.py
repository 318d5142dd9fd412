"""minigpt: a GPT whose cached output is its uncached output.

GPT(config), GPT.from_pretrained("recall"): the model; it generates. GPTConfig: its sizes. load_tokenizer: its text.
Llama, LlamaConfig: the same of a Llama, Mistral, Qwen2 or Qwen3. load(name): the one or the other, as a folder has it.
make_cache(name, model.config, ...): a cache; help(make_cache) lists them. CACHES: their classes by name.
CacheError, CacheFull, ModelFileError: what is refused.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Looked up when first used, so that `python -m minigpt --help` need not import torch.
_HOME = {
    "GPT": "model",
    "GPTConfig": "config",
    "Llama": "llama",
    "LlamaConfig": "llama_config",
    "load": "loading",
    "load_tokenizer": "pretrained",
    "make_cache": "cache",
    "CACHES": "cache",
    "CacheError": "cache",
    "CacheFull": "cache",
    "ModelFileError": "pretrained",
}
__all__ = list(_HOME)

if TYPE_CHECKING:  # the same names, where editors and type checkers look for them
    from minigpt.cache import CACHES as CACHES
    from minigpt.cache import CacheError as CacheError
    from minigpt.cache import CacheFull as CacheFull
    from minigpt.cache import make_cache as make_cache
    from minigpt.config import GPTConfig as GPTConfig
    from minigpt.llama import Llama as Llama
    from minigpt.llama_config import LlamaConfig as LlamaConfig
    from minigpt.loading import load as load
    from minigpt.model import GPT as GPT
    from minigpt.pretrained import ModelFileError as ModelFileError
    from minigpt.pretrained import load_tokenizer as load_tokenizer
else:  # hidden from them, since it might give any name

    def __getattr__(name: str):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
