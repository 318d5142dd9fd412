"""What transformers' quantized cache does on top of the real optimum-quanto and hqq: seen from outside, written down.

`python -m tests.axes` (after `pip install ".[peers,test]"`) writes minigpt/measure/recorded/axes.json, which notebooks
06 and 09 show; test_peers.py holds a fresh run to it.
"""

import contextlib
import json
import warnings
from importlib.metadata import version
from types import SimpleNamespace

import torch

from minigpt.measure.quality.sharing import shared
from minigpt.measure.recorded import DATA
from minigpt.pretrained import model_folder

FILE = DATA / "axes.json"
AXES = [("quanto", 0), ("hqq", 1), ("quanto", -1), ("hqq", 0)]
BITS = 1, 2, 3, 4, 8
PROMPT, RESIDUAL, FLUSHES = 96, 32, 10
ASKED = [  # backend, axis, (B, H, T, D), q_group_size
    *((*each, (2, 2, 4, 4), 4) for each in AXES),
    ("quanto", -1, (2, 1, 6, 4), 4),  # as many tokens as fill no whole group
    ("quanto", 0, (1, 1, 4, 8), 4),  # a group smaller than the head
    ("hqq", 1, (1, 1, 4, 8), 4),
]


@contextlib.contextmanager
def without_compiling():
    """quanto, with its codes taken out of their bytes here, as it packed them; it would compile C++ for this."""
    from optimum.quanto.library.extensions.cpp import ext

    def unpack(packed, bits):
        return torch.cat([packed >> place & 2**bits - 1 for place in range(0, 8, bits)])

    before, ext._lib = ext._lib, SimpleNamespace(unpack=unpack)
    try:
        yield
    finally:
        ext._lib = before


def cache_of(backend: str, x, **options):
    """transformers' cache, which has taken in x as the keys and the values of its one layer."""
    import transformers

    H, D = x.shape[1], x.shape[3]
    cache = transformers.QuantizedCache(backend, transformers.GPT2Config(n_layer=1, n_head=H, n_embd=H * D), **options)
    cache.update(x, x, 0)
    return cache


def read_back(backend: str, x, **options):
    """x, as the token after it reads it."""
    keys, _ = cache_of(backend, x, **options).update(x[:, :, :1], x[:, :, :1], 0)
    return keys[:, :, : x.shape[2]]


def groups(backend: str, axis: int, shape: tuple[int, ...], size: int) -> dict:
    options = {"nbits": 4, "axis_key": axis, "axis_value": axis, "q_group_size": size}
    found = shared(lambda x: read_back(backend, x, **options), shape)
    return {"backend": backend, "axis": axis, "shape": [*shape], "group": size, "groups": found.tolist()}


def taken(backend: str, **options) -> str:
    """'taken', or how it fails."""
    x = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    try:
        assert (read_back(backend, x, **options) - x).abs().max() < x.max() - x.min()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


def drift(backend: str, **options) -> list[float]:
    """Root mean square error of the prompt, as the token after it reads it, and as it is read after each flush."""
    x = torch.randn(1, 2, PROMPT + FLUSHES * RESIDUAL + 1, 64, generator=torch.Generator().manual_seed(0))
    cache, found = cache_of(backend, x[:, :, :PROMPT], **options), []
    for t in range(PROMPT, x.shape[2]):
        keys, _ = cache.update(x[:, :, t : t + 1], x[:, :, t : t + 1], 0)
        if (t - PROMPT) % RESIDUAL == 0:
            found.append((keys - x[:, :, : t + 1])[:, :, :PROMPT].square().mean().sqrt().item())
    return [round(each, 3) for each in found]


def texts() -> dict[str, str]:
    """How the bundled model goes on after the article's prompt in transformers, greedily, in 2 bits by quanto: by the
    residual."""
    import transformers

    folder = str(model_folder("recall"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    inputs, found = tokenizer("A list of colors: red, blue", return_tensors="pt"), {}
    for residual in (128, 0):
        how = {"cache_implementation": "quantized", "cache_config": {"nbits": 2, "residual_length": residual}}
        out = model.generate(**inputs, max_new_tokens=20, do_sample=False, pad_token_id=0, **how)
        found[str(residual)] = tokenizer.decode(out[0, inputs.input_ids.shape[1] :])
    return found


def run() -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries
        from hqq.core.quantize import Quantizer
        from optimum import quanto

        with without_compiling():
            bits, drifts = {}, {"fp8": drift("fp8")}
            for backend, axis in AXES:
                both = {"axis_key": axis, "axis_value": axis}
                name = f"{backend}, axis {axis}"
                bits[name] = {str(n): taken(backend, nbits=n, q_group_size=16, **both) for n in BITS}
                drifts[name] = drift(backend, residual_length=RESIDUAL, **both)
            return {
                "versions": {name: version(name) for name in ("hqq", "optimum-quanto", "torch", "transformers")},
                "libraries": {"optimum-quanto": sorted(quanto.qtypes), "hqq": sorted(Quantizer.SUPPORTED_BITS)},
                "bits": bits | {"fp8": {"left out": taken("fp8"), "8": taken("fp8", nbits=8)}},
                "groups": [groups(*each) for each in ASKED],
                "drift": drifts,
                "texts": texts(),
            }


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in run().items())
    FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8", newline="\n")
