"""Hugging Face's GPT-2 format, in and out. Only safetensors: no pickle is ever opened."""

import json
import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer

from minigpt.config import GPTConfig

BUNDLED = {"recall": Path(__file__).parent / "recall" / "weights"}

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

# What config.json calls the sizes.
SIZES = {
    "vocab_size": "vocab_size",
    "n_positions": "context",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "n_embd",
    "n_inner": "n_inner",
    "layer_norm_epsilon": "layer_norm_epsilon",
}
# Keys that change the mathematics, and the only value of each that this model computes.
FIXED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
ACTIVATIONS = "gelu_new", "gelu_pytorch_tanh"  # two names of one function


class ModelFileError(ValueError):
    """A model file that is missing, damaged or of another kind. The message names the file and the tensor or key."""


def from_pretrained(cls, name: str | os.PathLike, dtype: torch.dtype | None = None, device=None):
    """The GPT of a folder, of the bundled model ("recall"), or of a name on the Hugging Face hub.

    name: a folder with config.json and model.safetensors (or its shards) in transformers' GPT-2 format;
        else a name, looked up among the bundled models, in the local hub cache, then on the hub.
    dtype, device: of the parameters (None: torch's defaults, whatever the file holds).
    Raises ModelFileError, and returns no half-built model.
    """
    folder = model_folder(name)
    config = read_config(folder / "config.json")
    with torch.device("meta"):  # shapes without memory: the file's tensors become the parameters
        model = cls(config)
    dtype = dtype or torch.get_default_dtype()
    try:
        device = torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:  # torch's own, for a device that is not there
        raise ValueError(f"device {device} can't be used: {error}") from error
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    state = {name: tensor.to(device, dtype) for name, tensor in read_tensors(folder, wanted).items()}
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(True).eval()


def save_pretrained(model, folder: str | os.PathLike) -> None:
    """Write config.json and model.safetensors, which transformers' AutoModelForCausalLM loads as GPT-2.

    Raises ValueError for what GPT-2's format can't say (grouped heads, window, sinks): transformers would
    load such a folder without a word and compute something else.
    """
    config = model.config
    if config.n_kv_head != config.n_head:
        raise ValueError(f"GPT-2's format has no grouped heads: n_kv_head {config.n_kv_head}, n_head {config.n_head}")
    if config.window is not None:
        raise ValueError(f"GPT-2's format has no window: window {config.window}, sinks {config.sinks}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {theirs: getattr(config, ours) for theirs, ours in SIZES.items()}
    settings |= FIXED | {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": ACTIVATIONS[0],
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    tensors = {
        "transformer." + file_name(name): (parameter.T if is_conv1d(name) else parameter).detach().contiguous()
        for name, parameter in model.named_parameters()
    }
    # Each file is written whole beside its place, then moved into it: a crash leaves no half-written model.
    part = folder / (WEIGHTS + ".part")
    save_file(tensors, part, metadata={"format": "pt"})
    os.replace(part, folder / WEIGHTS)
    part = folder / "config.json.part"
    part.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(part, folder / "config.json")


def load_tokenizer(name: str | os.PathLike) -> Tokenizer:
    """The tokenizer of a model named as in `from_pretrained`. Raises ModelFileError where there is none."""
    path = model_folder(name) / "tokenizer.json"
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file, so text can't be turned into tokens")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more precise
        raise ModelFileError(f"{path}: not a tokenizer ({error})") from error


def model_folder(name: str | os.PathLike) -> Path:
    """The folder that holds a model: a bundled one, a folder as it stands, or one of the hub's."""
    if name in BUNDLED:
        return BUNDLED[name]
    if name and Path(name).is_dir():
        return Path(name)
    if isinstance(name, os.PathLike) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise ModelFileError(f"{name}: no such folder")
    from huggingface_hub import snapshot_download  # takes a while to import, and only names need it

    files = ["config.json", "tokenizer.json", WEIGHTS, INDEX, "model-*-of-*.safetensors"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=files, local_files_only=True))
        if (folder / WEIGHTS).exists() or (folder / INDEX).exists():
            return folder
    except (OSError, ValueError):
        pass  # not in the local cache, or not a name at all
    try:
        return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:  # whatever the network or the hub raises: a dozen unrelated types
        raise ModelFileError(
            f"{name}: no such folder, not in the local hub cache, and the hub did not give it ({error})"
        ) from error


def read_config(path: Path) -> GPTConfig:
    """The GPTConfig of a config.json. Raises ModelFileError for any that GPT-2's mathematics doesn't cover."""
    settings = read_json(path)
    if settings.get("model_type") != "gpt2":
        raise ModelFileError(f"{path}: model_type is {settings.get('model_type')!r}, this reads 'gpt2'")
    for key, only in FIXED.items():
        if settings.get(key, only) != only:
            raise ModelFileError(f"{path}: {key} is {settings[key]!r}, which changes the mathematics; only {only!r}")
    activation = settings.get("activation_function", ACTIVATIONS[0])
    if activation not in ACTIVATIONS:
        raise ModelFileError(f"{path}: activation_function is {activation!r}; only {' or '.join(ACTIVATIONS)}")
    required = ["vocab_size", "n_positions", "n_layer", "n_head", "n_embd"]
    missing = [key for key in required if key not in settings]
    if missing:
        raise ModelFileError(f"{path}: {', '.join(missing)} missing")
    try:
        return GPTConfig(**{ours: settings[theirs] for theirs, ours in SIZES.items() if theirs in settings})
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: {re.sub('^context', 'n_positions', str(error))}") from error


def read_tensors(folder: Path, wanted: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The tensors of a folder under this model's names; each that is wanted, of its shape, and no others."""
    keys = {file_name(name) for name in wanted} | {"lm_head.weight"}
    found, files = {}, {}
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError) as error:
            raise ModelFileError(f"{path}: not a whole safetensors file ({error})") from error
        for stored, tensor in tensors.items():
            key = stored.removeprefix("transformer.")  # the original checkpoint goes without
            if re.fullmatch(r"h\.\d+\.attn\.(bias|masked_bias)", key):
                continue  # the causal mask, which the original checkpoint carries as a buffer
            if key not in keys:
                raise ModelFileError(f"{path}: tensor {stored} has no place in this model")
            if key in found:
                raise ModelFileError(f"{path}: tensor {stored} is here for the second time, the first in {files[key]}")
            if not tensor.is_floating_point():
                raise ModelFileError(f"{path}: tensor {stored} is {tensor.dtype}, not floating point")
            found[key], files[key] = tensor, path
    for name, shape in wanted.items():
        key, shape = file_name(name), shape[::-1] if is_conv1d(name) else shape
        if key not in found:
            raise ModelFileError(f"{folder}: tensor {key} is missing")
        if found[key].shape != shape:
            got = tuple(found[key].shape)
            raise ModelFileError(f"{files[key]}: tensor {key} has shape {got}, config.json says {shape}")
    head = found.get("lm_head.weight")
    if head is not None and not torch.equal(head, found["wte.weight"]):
        raise ModelFileError(f"{files['lm_head.weight']}: lm_head.weight is not wte.weight; only a tied head")
    return {name: found[file_name(name)].T if is_conv1d(name) else found[file_name(name)] for name in wanted}


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the shards that its index lists."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        raise ModelFileError(f"{folder}: neither {WEIGHTS} nor {INDEX} (pickled weights are never opened)")
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFileError(f"{folder / INDEX}: weight_map missing")
    shards = sorted(set(map(str, weight_map.values())))
    for shard in shards:
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise ModelFileError(f"{folder / INDEX}: shard {shard!r} is not a file of this folder")
    return [folder / shard for shard in shards]


def read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelFileError(f"{path}: not a JSON object")
    return content


def file_name(name: str) -> str:
    """blocks.0.attn.c_attn_weight is h.0.attn.c_attn.weight in a file, mostly with `transformer.` before it."""
    return re.sub(r"_(weight|bias)$", r".\1", re.sub(r"^blocks\.", "h.", name))


def is_conv1d(name: str) -> bool:
    """GPT-2 stores its four products as (in, out), the transpose of what F.linear takes. Read without a copy."""
    return re.search(r"\.c_(attn|fc|proj)_weight$", name) is not None
