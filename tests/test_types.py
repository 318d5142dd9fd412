"""What editors and type checkers know of the package: its names, the options of caches, and what a typo is."""

import ast
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

import minigpt
from minigpt.cache import CACHES, CacheOptions, DynamicCache, make_cache
from minigpt.cache.options import listing, options_of

PACKAGE = Path(minigpt.__file__).parent

RIGHT = """
from typing import Any

import torch
from typing_extensions import assert_type

from minigpt import CACHES, GPT, CacheError, CacheFull, GPTConfig, ModelFileError, load_tokenizer, make_cache
from minigpt import Llama, LlamaConfig, load
from minigpt.cache import DynamicCache, KVCache

errors: list[type[Exception]] = [CacheError, CacheFull, ModelFileError]
config = GPTConfig(vocab_size=61, context=48, n_layer=2, n_head=4, n_embd=32)
model = GPT.from_pretrained("recall", dtype=torch.float64, device="cpu")
assert_type(model, GPT)
assert_type(model.with_window(8, sinks=1), GPT)
assert_type(model.config.n_head, int)
ids = torch.tensor([load_tokenizer("recall").encode("To be").ids])
cache = make_cache("quantized", model.config, batch_size=1, nbits=4, dtype=model.dtype, device=model.device)
assert_type(cache, KVCache)
assert_type(model(ids, cache=cache), torch.Tensor)
assert_type(model.generate(ids, max_new_tokens=3, cache_implementation="static"), torch.Tensor)
model.generate(ids, num_beams=2, early_stopping="never", length_penalty=2)
model.generate(ids, max_new_tokens=None, use_cache=None, num_beams=None, length_penalty=None, early_stopping=None)
whichever = load("recall", dtype=torch.float64)
assert_type(whichever(ids), torch.Tensor)
make_cache("dynamic", whichever.config)
llama = Llama(LlamaConfig(vocab_size=61, context=48, n_layer=2, n_head=4, n_embd=32, n_inner=40))
assert_type(llama.with_window(8), Llama)
assert_type(llama.config.n_head, int)
cache.crop(-1)
cache.select([0, 0])
assert_type(cache.length + cache.nbytes, int)


class Paged(DynamicCache):
    def __init__(self, config: GPTConfig, batch_size: int = 1, page: int = 16):
        super().__init__(config, batch_size)


CACHES["paged"] = Paged
make_cache("paged", config, batch_size=2)
options: dict[str, Any] = {"page": 4}
make_cache("paged", config, **options)
"""

TYPOS = {  # and what the error must name
    'make_cache("static", config, max_cache_length=64)': '"max_cache_length"',
    'make_cache("quantized", config, nbits="4")': '"nbits"',
    'make_cache("static", model)': '"make_cache"',
    "model.generate(ids, max_new_token=3)": '"max_new_token"',
    'model.generate(ids, do_sample="yes")': '"do_sample"',
    'model.generate(ids, early_stopping="nevr")': '"early_stopping"',
    "model(ids, past_key_values=cache)": '"past_key_values"',
    'model(ids, cache="dynamic")': '"cache"',
    'cache.crop("-5")': '"crop"',
    'DynamicCache(config).crop("-5")': '"crop"',
    'GPT.from_pretrained("recall", torch_dtype=torch.float16)': '"torch_dtype"',
    "GPT.from_pretrained(7)": '"from_pretrained"',
    "model.with_window(64, sink=4)": '"sink"',
    "GPTConfig(vocab_size=61, context=48, n_layer=2, n_head=4, n_embed=32)": '"n_embed"',
    "from minigpt import make_caches": '"make_caches"',
}


@pytest.fixture
def remembered(request, tmp_path):
    """Where mypy keeps what it has read of torch, from run to run: next to what pytest keeps, if it does."""
    cache = getattr(request.config, "cache", None)
    return cache.mkdir("mypy") if cache else tmp_path / "mypy"


def mypy(script: Path, remembered: Path) -> dict[int, str]:
    """By line: the errors that a user of the installed package is told, under the strictest rules."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        remembered,
        script,
    ]
    told = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, encoding="utf-8")
    assert told.returncode in (0, 1), told.stdout + told.stderr
    errors: dict[int, str] = {}
    for line, error in re.findall(rf"^{script.name}:(\d+): error: (.*)$", told.stdout, re.MULTILINE):
        errors[int(line)] = errors.get(int(line), "") + error
    return errors


def test_to_mypy_right_use_is_right_and_each_typo_an_error_that_names_it(tmp_path, remembered):
    script = tmp_path / "script.py"
    script.write_text(RIGHT + "\n".join(TYPOS) + "\n", encoding="utf-8")
    first = RIGHT.count("\n") + 1
    errors = mypy(script, remembered)
    assert [error for line, error in errors.items() if line < first] == []
    named = {typo: errors.get(line, "no error") for line, typo in enumerate(TYPOS, start=first)}
    assert {typo: error for typo, error in named.items() if TYPOS[typo] not in error} == {}


def names_imported(tree: ast.Module) -> dict[str, str]:
    """By name: the module from which it is imported for type checkers only."""
    (block,) = (each for each in tree.body if isinstance(each, ast.If))
    return {name.asname: line.module for line in block.body for name in line.names}


def test_type_checkers_find_each_public_name_where_it_is_at_run_time():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert names_imported(tree) == {name: f"minigpt.{home}" for name, home in minigpt._HOME.items()}


def test_dir_and_help_know_the_public_names():
    assert {*minigpt.__all__, "__version__"} <= {*dir(minigpt)}
    page = pydoc.plain(pydoc.render_doc(minigpt))
    assert [name for name in minigpt.__all__ if not re.search(rf"\b{name}\b", page)] == []


def test_help_needs_no_torch():
    code = "import sys, minigpt; dir(minigpt); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_call_of_the_model_is_typed_as_its_forward():
    tree = ast.parse((PACKAGE / "language_model.py").read_text(encoding="utf-8"))
    (model,) = (each for each in tree.body if isinstance(each, ast.ClassDef))
    found = {each.name: each.args for each in ast.walk(model) if isinstance(each, ast.FunctionDef)}
    assert bare(found["__call__"]) == bare(found["forward"])


def bare(arguments: ast.arguments) -> str:
    """Without the shapes of tensors: Int[Tensor, 'B T'] is a Tensor."""
    return re.sub(r"\w+\[Tensor, '[^']*'\]", "Tensor", ast.unparse(arguments))


def untyped(caches: dict) -> list[str]:
    """What is wrong with CacheOptions, in sentences."""
    hints, taken, told = get_type_hints(CacheOptions), set(), []
    for name, kind in caches.items():
        for option in options_of(kind):
            taken.add(option.name)
            if option.name not in hints or option.annotation not in (hints[option.name], option.empty):
                told.append(
                    f"the {name} cache takes `{option.replace(default=option.empty)}`: give CacheOptions, in "
                    "minigpt/cache/options.py, that line, so that type checkers know it"
                )
    return told + [f"no cache takes {name} of CacheOptions" for name in hints if name not in taken]


def test_type_checkers_know_every_option_of_every_cache():
    assert untyped(CACHES) == []


def test_an_option_that_type_checkers_do_not_know_is_told_in_a_sentence():
    class Paged(DynamicCache):
        def __init__(self, config, batch_size: int = 1, page: int = 16):
            super().__init__(config, batch_size)

    class Wide(DynamicCache):
        def __init__(self, config, batch_size: float = 1.0, chunk=None):
            super().__init__(config, 1)

    assert untyped(CACHES | {"paged": Paged}) == [
        "the paged cache takes `page: int`: give CacheOptions, in minigpt/cache/options.py, that line, so that type "
        "checkers know it"
    ]
    assert len(untyped(CACHES | {"wide": Wide})) == 1
    assert untyped({"dynamic": DynamicCache})[0] == "no cache takes max_cache_len of CacheOptions"


def test_help_of_make_cache_lists_the_options_of_every_cache_with_their_defaults():
    page = " ".join(pydoc.plain(pydoc.render_doc(make_cache)).split())
    for name, kind in CACHES.items():
        entry = " ".join(listing({name: kind}).split())
        _, *options = inspect.signature(kind).parameters.values()
        assert entry.startswith(f"{name}: {kind.__doc__.split()[0]} ")
        assert entry.endswith(". " + ", ".join(f"{each.name}={each.default!r}" for each in options))
        assert entry in page


def test_each_cache_says_what_it_is_in_its_own_words():
    said = [kind.__doc__ for kind in CACHES.values()]
    assert all(said)
    assert len({*said}) == len(CACHES)
