"""minigpt: a GPT whose cached output is its uncached output."""

from importlib import import_module

__version__ = "0.1.0"

# Looked up when first used, so that `python -m minigpt --help` need not import torch.
_HOME = {
    "GPT": "model",
    "GPTConfig": "config",
    "load_tokenizer": "pretrained",
    "make_cache": "cache",
    "CACHES": "cache",
    "CacheError": "cache",
    "CacheFull": "cache",
    "ModelFileError": "pretrained",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
