"""Our caches inside the models of Hugging Face transformers (`to_transformers`, `cache_for`, `config_of`), and theirs
inside ours (`from_transformers`). It needs transformers 5.24 or later, which `import minigpt` does not."""

try:
    import transformers
except ImportError as error:
    raise ImportError("minigpt.interop needs transformers: pip install 'transformers>=5.24'") from error
if tuple(map(int, transformers.__version__.split(".")[:2])) < (5, 24):
    raise ImportError(
        f"minigpt.interop needs transformers 5.24 or later, and {transformers.__version__} is installed: "
        "pip install -U transformers"
    )

from minigpt.interop.door import cache_for, to_transformers
from minigpt.interop.ours_there import CacheOfOurs
from minigpt.interop.sizes import config_of
from minigpt.interop.theirs_here import CacheOfTheirs, from_transformers

__all__ = ["CacheOfOurs", "CacheOfTheirs", "cache_for", "config_of", "from_transformers", "to_transformers"]
