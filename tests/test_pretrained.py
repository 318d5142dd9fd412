"""Model files: what is saved is loaded to the bit, and a file that is damaged or of another kind is refused."""

import copy
import json
import os
import pickle
import re
import shutil
import socket

import huggingface_hub
import pytest
import torch
from helpers import SIZES, as_for_a_user, random_gpt, random_ids, spread
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel, LlamaConfig

from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.pretrained import INDEX, WEIGHTS, ModelFileError, load_tokenizer

QKV = "transformer.h.1.attn.c_attn.weight"
WTE = "transformer.wte.weight"


@pytest.fixture
def model():
    return random_gpt(seed=3, dtype=torch.float32)


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(folder, change):
    """change: a function from the dict of stored tensors to the one to store instead."""
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def assert_same_weights(got, want):
    got, want = got.state_dict(), want.state_dict()
    assert list(got) == list(want)
    for name in want:
        assert got[name].dtype == want[name].dtype, name
        assert torch.equal(got[name], want[name]), name


# --- there and back ---


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_what_is_saved_comes_back_to_the_bit(dtype, tmp_path):
    model = random_gpt(dtype=dtype, n_inner=50, layer_norm_epsilon=1e-3)
    model.save_pretrained(tmp_path)
    back = GPT.from_pretrained(tmp_path, dtype=dtype)
    assert back.config == model.config
    assert not back.training
    assert all(weights.requires_grad for weights in back.parameters())
    assert_same_weights(back, model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_the_dtype_argument_rounds_as_to_does(dtype, model, folder):
    assert_same_weights(GPT.from_pretrained(folder, dtype=dtype), copy.deepcopy(model).to(dtype))


def test_without_a_dtype_the_parameters_are_of_torchs_default_dtype_whatever_the_file_holds(model, tmp_path):
    half = model.to(torch.float16)
    half.save_pretrained(tmp_path)
    assert_same_weights(GPT.from_pretrained(tmp_path), half.to(torch.float32))


def test_a_loaded_model_trains_like_the_one_that_was_saved(model, folder):
    """Its weights are views of what the file held: the optimiser must move them all the same."""
    ids = random_ids(2, 12)
    after = []
    for gpt in (model, GPT.from_pretrained(folder)):
        optimiser = torch.optim.SGD(gpt.train().parameters(), lr=0.1)
        gpt(ids).square().mean().backward()
        optimiser.step()
        after.append(gpt)
    for name, want in after[0].state_dict().items():
        torch.testing.assert_close(after[1].state_dict()[name], want)
    assert not torch.equal(after[0].wte.weight, GPT.from_pretrained(folder).wte.weight)


def test_saving_twice_writes_the_same_bytes_and_leaves_no_other_file(model, tmp_path):
    for name in ("one", "two", "two"):
        model.save_pretrained(tmp_path / name)
    for name in ("config.json", WEIGHTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(os.listdir(tmp_path / "two")) == ["config.json", WEIGHTS]


def test_a_later_save_replaces_the_earlier_model(folder):
    other = random_gpt(seed=8, dtype=torch.float32, n_layer=1)
    other.save_pretrained(folder)
    assert_same_weights(GPT.from_pretrained(folder), other)


@pytest.mark.parametrize("sizes", [{"n_kv_head": 2}, {"window": 5}, {"window": 5, "sinks": 1}], ids=str)
def test_what_gpt2s_format_cannot_say_is_refused_and_nothing_is_written(sizes, tmp_path):
    with pytest.raises(ValueError, match=r"GPT-2's format has no (grouped heads|window)"):
        random_gpt(**sizes).save_pretrained(tmp_path / "new" / "folder")
    assert os.listdir(tmp_path) == []


# --- the forms that GPT-2 comes in ---


def test_a_sharded_folder_of_transformers_is_read(folder, model, tmp_path):
    theirs = GPT2LMHeadModel.from_pretrained(folder)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    shards = list((tmp_path / "shards").glob("model-*-of-*.safetensors"))
    assert len(shards) > 2
    assert not (tmp_path / "shards" / WEIGHTS).exists()
    assert_same_weights(GPT.from_pretrained(tmp_path / "shards"), model)


def without_prefix(tensors):
    return {key.removeprefix("transformer."): tensor for key, tensor in tensors.items()}


def with_mask_buffers(tensors):
    for layer in range(SIZES["n_layer"]):
        mask = torch.ones(1, 1, SIZES["context"], SIZES["context"]).tril()
        tensors[f"transformer.h.{layer}.attn.bias"] = mask
        tensors[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return tensors


def with_byte_buffers(tensors):
    mask = torch.ones(1, 1, SIZES["context"], SIZES["context"], dtype=torch.uint8).tril()
    return without_prefix(tensors) | {f"h.{layer}.attn.bias": mask.clone() for layer in range(SIZES["n_layer"])}


def with_tied_head(tensors):
    return tensors | {"lm_head.weight": tensors[WTE].clone()}


@pytest.mark.parametrize("form", [without_prefix, with_mask_buffers, with_byte_buffers, with_tied_head])
def test_every_form_of_the_same_weights_is_the_same_model(form, folder, model):
    edit_tensors(folder, form)
    assert_same_weights(GPT.from_pretrained(folder), model)


@pytest.mark.parametrize(
    "keys",
    [
        {"activation_function": "gelu_pytorch_tanh"},
        {"activation_function": "gelu_new"},
        {"reorder_and_upcast_attn": True},
        {"resid_pdrop": 0.3, "embd_pdrop": 0.2, "attn_pdrop": 0.1},
        {"summary_type": "mean", "summary_use_proj": False, "summary_proj_to_labels": False},
        {"n_ctx": 1024, "task_specific_params": {}, "initializer_range": 0.5},
        {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
        {"tie_word_embeddings": True},
    ],
    ids=lambda keys: ", ".join(keys),
)
def test_config_keys_that_leave_the_mathematics_alone_are_accepted_as_by_transformers(keys, folder, model):
    edit_config(folder, **keys)
    ours, ids = GPT.from_pretrained(folder), random_ids(2, 20)
    assert_same_weights(ours, model)
    with torch.no_grad():
        want = GPT2LMHeadModel.from_pretrained(folder).eval()(ids).logits
        assert (ours(ids) - want).abs().max() <= 1e-5 * want.abs().max()


# --- what is refused ---


def drop(name):
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def put(name, change, source=None):
    return lambda tensors: tensors | {name: change(tensors[source or name]).contiguous().clone()}


def remove_key(folder, key):
    path = folder / "config.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != key}))


def shards(folder, **changes):
    """Split the folder in two shards, then change entries of the index."""
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    weight_map = {name: f"model-{1 + (i % 2):05}-of-00002.safetensors" for i, name in enumerate(names)}
    for shard in set(weight_map.values()):
        save_file({name: tensors[name] for name in names if weight_map[name] == shard}, folder / shard)
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map} | changes))


def lose_a_shard(folder):
    shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def escape(folder, path):
    """A shard outside the folder, which is a whole and good file: only its path is wrong."""
    shutil.copy(folder / WEIGHTS, folder.parent / "x.safetensors")
    shards(folder, weight_map={WTE: path})


def replace(path, make):
    path.unlink()
    make(path)


def with_last(weights, number):
    weights.view(-1)[-1] = number
    return weights


REFUSED = {
    # What changes the mathematics.
    "scale_attn_weights": (lambda f: edit_config(f, scale_attn_weights=False), r"config.json: scale_attn_weights"),
    "inverse_layer_idx": (
        lambda f: edit_config(f, scale_attn_by_inverse_layer_idx=True),
        r"config.json: scale_attn_by_inverse_layer_idx",
    ),
    "cross attention": (lambda f: edit_config(f, add_cross_attention=True), r"config.json: add_cross_attention"),
    "untied": (lambda f: edit_config(f, tie_word_embeddings=False), r"config.json: tie_word_embeddings"),
    "exact gelu": (lambda f: edit_config(f, activation_function="gelu"), r"config.json: activation_function is 'gelu'"),
    "relu": (lambda f: edit_config(f, activation_function="relu"), r"config.json: activation_function is 'relu'"),
    "llama": (
        lambda f: (f / "config.json").write_text(LlamaConfig().to_json_string()),
        r"config.json: model_type is 'llama'",
    ),
    "no model_type": (lambda f: remove_key(f, "model_type"), r"config.json: model_type is None"),
    "a head that differs": (
        lambda f: edit_tensors(f, put("lm_head.weight", lambda w: w + (w == w.max()), WTE)),
        r"model.safetensors: lm_head.weight is not wte.weight",
    ),
    "a head of another shape": (
        lambda f: edit_tensors(f, put("lm_head.weight", lambda w: w[1:], WTE)),
        r"model.safetensors: lm_head.weight is not wte.weight",
    ),
    # Damaged config.json.
    **{
        f"no {key}": (lambda f, key=key: remove_key(f, key), rf"config.json: {key} missing")
        for key in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd")
    },
    "no config": (
        lambda f: (f / "config.json").unlink(),
        r"config.json: no such file, .* has config.json and model.safetensors .*: name such",
    ),
    "config not JSON": (lambda f: (f / "config.json").write_text("{'n_layer': 2}"), r"config.json: not JSON"),
    "config cut short": (lambda f: (f / "config.json").write_text('{"n_layer": 2'), r"config.json: not JSON"),
    "config nested too deep": (lambda f: (f / "config.json").write_text("[" * 10**5), r"config.json: not JSON"),
    "config not text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), r"config.json: not JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), r"config.json: not a JSON object"),
    "n_positions 0": (lambda f: edit_config(f, n_positions=0), r"config.json: n_positions must be .* got 0"),
    "n_layer a string": (lambda f: edit_config(f, n_layer="2"), r"config.json: n_layer must be .* got '2'"),
    "n_head that does not divide": (lambda f: edit_config(f, n_head=5), r"config.json: n_embd 32 .* n_head 5"),
    "epsilon a string": (lambda f: edit_config(f, layer_norm_epsilon="tiny"), r"config.json: "),
    "epsilon true": (
        lambda f: edit_config(f, layer_norm_epsilon=True),
        r"config.json: layer_norm_epsilon must be .* got True",
    ),
    "epsilon infinite": (
        lambda f: edit_config(f, layer_norm_epsilon=float("inf")),
        r"config.json: layer_norm_epsilon must be .* got inf",
    ),
    **{
        f"{key} 2^63": (
            lambda f, key=key: edit_config(f, **{key: 2**63}),
            rf"config.json: {key} is 9223372036854775808, which no model has: 268435456 at most",
        )
        for key in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd", "n_inner")
    },
    "a size that no file has": (
        lambda f: edit_config(f, n_inner=2**28),
        r"tensor h.0.mlp.c_fc.weight has shape \(32, 128\), config.json says \(32, 268435456\)",
    ),
    # Not plain files.
    "config a pipe": (lambda f: replace(f / "config.json", os.mkfifo), r"config.json: not a plain file"),
    "weights a pipe": (lambda f: replace(f / WEIGHTS, os.mkfifo), r"model.safetensors: not a plain file"),
    "config without end": (
        lambda f: replace(f / "config.json", lambda path: path.symlink_to("/dev/zero")),
        r"config.json: not a plain file",
    ),
    "config of a gigabyte": (
        lambda f: os.truncate(f / "config.json", 2**30),
        r"config.json: 1,073,741,824 bytes, more than the 104,857,600 that are read",
    ),
    # Damaged weights.
    "NaN": (
        lambda f: edit_tensors(f, put(QKV, lambda w: with_last(w, float("nan")))),
        r"model.safetensors: tensor transformer.h.1.attn.c_attn.weight has NaN or infinity",
    ),
    "infinity": (
        lambda f: edit_tensors(f, put(QKV, lambda w: with_last(w, -float("inf")))),
        r"model.safetensors: tensor transformer.h.1.attn.c_attn.weight has NaN or infinity",
    ),
    "truncated": (
        lambda f: os.truncate(f / WEIGHTS, (f / WEIGHTS).stat().st_size - 1),
        r"model.safetensors: not a whole safetensors file",
    ),
    "empty": (lambda f: os.truncate(f / WEIGHTS, 0), r"model.safetensors: not a whole safetensors file"),
    "not safetensors": (
        lambda f: (f / WEIGHTS).write_bytes(b"<html>" * 99),
        r"model.safetensors: not a whole safetensors file",
    ),
    "weights a folder": (
        lambda f: ((f / WEIGHTS).unlink(), (f / WEIGHTS).mkdir()),
        r"model.safetensors: not a plain file",
    ),
    "missing tensor": (lambda f: edit_tensors(f, drop(QKV)), r"tensor h.1.attn.c_attn.weight is missing"),
    "missing bias": (
        lambda f: edit_tensors(f, drop("transformer.ln_f.bias")),
        r"tensor ln_f.bias is missing",
    ),
    "a row short": (
        lambda f: edit_tensors(f, put(WTE, lambda w: w[1:])),
        r"model.safetensors: tensor wte.weight has shape \(60, 32\), config.json says \(61, 32\)",
    ),
    "transposed": (
        lambda f: edit_tensors(f, put(QKV, lambda w: w.T)),
        r"model.safetensors: tensor h.1.attn.c_attn.weight has shape \(96, 32\), config.json says \(32, 96\)",
    ),
    "flat": (
        lambda f: edit_tensors(f, put(QKV, lambda w: w.flatten())),
        r"model.safetensors: tensor h.1.attn.c_attn.weight has shape \(3072,\)",
    ),
    "extra tensor": (
        lambda f: edit_tensors(f, put("transformer.h.0.attn.rotary", lambda w: w, WTE)),
        r"model.safetensors: tensor transformer.h.0.attn.rotary has no place",
    ),
    "extra layer": (
        lambda f: edit_config(f, n_layer=1),
        r"model.safetensors: tensor transformer.h.1.\S+ has no place",
    ),
    "a layer too few": (lambda f: edit_config(f, n_layer=3), r"tensor h.2.ln_1.weight is missing"),
    "our own names": (
        lambda f: edit_tensors(f, put("wte_weight", lambda w: w, WTE)),
        r"model.safetensors: tensor wte_weight has no place",
    ),
    "the same tensor twice": (
        lambda f: edit_tensors(f, put("wte.weight", lambda w: w + 1, WTE)),
        r"model.safetensors: tensor \S*wte.weight is here for the second time",
    ),
    "integers": (
        lambda f: edit_tensors(f, put(WTE, lambda w: (w * 9).to(torch.int8))),
        r"model.safetensors: tensor transformer.wte.weight is I8; only F64, F32, F16, BF16",
    ),
    # Shards.
    "a shard missing": (lose_a_shard, r"index.json: shard 'model-00002-of-00002.safetensors' is not a file"),
    "a shard above": (lambda f: escape(f, "../x.safetensors"), r"index.json: shard '../x.safetensors' is not a file"),
    "a shard elsewhere": (
        lambda f: escape(f, str(f.parent / "x.safetensors")),
        r"index.json: shard '/\S+x.safetensors' is not a file",
    ),
    "a shard of no name": (lambda f: escape(f, ""), r"index.json: shard '' is not a file"),
    "no weight_map": (lambda f: shards(f, weight_map=None), r"index.json: weight_map missing"),
    "an empty weight_map": (lambda f: shards(f, weight_map={}), r"index.json: weight_map missing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_model_file_is_refused_by_name(case, folder):
    damage, message = REFUSED[case]
    GPT.from_pretrained(folder)  # before, it was good
    damage(folder)
    with as_for_a_user(), pytest.raises(ModelFileError, match=message) as refusal:
        GPT.from_pretrained(folder)
    assert str(folder) in str(refusal.value)


def test_a_config_of_too_many_layers_is_refused_before_a_model_is_built(folder, monkeypatch):
    """100,000 layers took 222 s and 2 GB to build."""

    def refuse(*_):
        raise AssertionError("a model was built")

    edit_config(folder, n_layer=100_000)
    monkeypatch.setattr(GPT, "__init__", refuse)
    with pytest.raises(ModelFileError, match="n_layer is 100000, but there are only 28 tensors"):
        GPT.from_pretrained(folder)


def test_a_weight_too_large_for_the_dtype_is_refused(folder):
    edit_tensors(folder, put(QKV, lambda w: with_last(w, 1e6)))
    GPT.from_pretrained(folder)
    with pytest.raises(ModelFileError, match=r"c_attn.weight has NaN or infinity in it, as torch.float16"):
        GPT.from_pretrained(folder, dtype=torch.float16)


@pytest.mark.parametrize(
    ("make", "message"),
    [(os.mkfifo, "not a plain file"), (lambda path: path.symlink_to("/dev/zero"), "not a plain file")],
    ids=["a pipe", "without end"],
)
def test_a_tokenizer_that_is_no_plain_file_is_refused(make, message, tmp_path):
    make(tmp_path / "tokenizer.json")
    with pytest.raises(ModelFileError, match=f"tokenizer.json: {message}"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("device", ["hpu", "privateuseone", "warp", "mps:9", "meta"])
def test_a_device_that_is_not_there_is_a_value_error(device, folder):
    with pytest.raises(ValueError, match=f"device {device} can't be used"):
        GPT.from_pretrained(folder, device=device)


class Bomb:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickled_weights_are_never_opened(folder, tmp_path):
    (folder / WEIGHTS).unlink()
    bomb, written = folder / "pytorch_model.bin", tmp_path / "written"
    bomb.write_bytes(pickle.dumps(Bomb(written)))
    with pytest.raises(ModelFileError, match=r"neither model.safetensors nor .* \(pickled weights are never opened\)"):
        GPT.from_pretrained(folder)
    assert not written.exists()

    pickle.loads(bomb.read_bytes())  # noqa: S301 (our own bomb: it was armed)
    assert written.exists()


# --- names ---


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"the network was asked for {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub(monkeypatch, tmp_path, no_network):
    """An empty local hub cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fill_hub(hub, name, folder):
    """Lay a folder out as the hub's own client does: a commit, and the branch that points to it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = hub / ("models--" + name.replace("/", "--"))
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


@pytest.mark.parametrize("name", ["someone/tiny-gpt2", "tiny-gpt2"])
def test_a_hub_name_is_found_in_the_local_cache_without_the_network(name, hub, folder, model, monkeypatch):
    fill_hub(hub, name, folder)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # even where the network is allowed
    assert_same_weights(GPT.from_pretrained(name), model)


@pytest.mark.parametrize("name", ["someone/nothing-here", "nothing-here", "no..name", "a--b"])
def test_a_name_that_is_nowhere_is_refused(name, hub):
    with pytest.raises(ModelFileError, match=rf"^{re.escape(name)}: no such folder, not in the local hub cache"):
        GPT.from_pretrained(name)


@pytest.mark.parametrize("name", ["./nothing", "../nothing", "/nothing/here", "a/b/c", "a b", ".hidden", "a\0b"])
def test_a_path_that_is_nowhere_is_not_looked_for_on_the_hub(name, hub):
    with pytest.raises(ModelFileError, match=r": no such folder: give one with config.json"):
        GPT.from_pretrained(name)


def test_a_path_object_is_only_a_path(hub, folder, tmp_path):
    fill_hub(hub, "tiny-gpt2", folder)
    with pytest.raises(ModelFileError, match=r"missing: no such folder: give one with"):
        GPT.from_pretrained(tmp_path / "missing")


# --- what loading and copying leave alone ---


def test_what_happens_to_the_file_later_happens_to_no_model(folder, model):
    """The weights were a mapping of the file: written over it changed them, cut short it was a SIGBUS."""
    loaded = GPT.from_pretrained(folder)
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))
    assert_same_weights(loaded, model)
    os.truncate(folder / WEIGHTS, 0)
    assert_same_weights(loaded, model)


def test_loading_leaves_the_random_state_and_the_default_dtype_as_they_were(folder):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    GPT.from_pretrained(folder, dtype=torch.float64)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(0).device == torch.device("cpu")


def test_a_refused_file_too_leaves_them_as_they_were(folder):
    os.truncate(folder / WEIGHTS, 99)
    before = torch.get_rng_state()
    with pytest.raises(ModelFileError):
        GPT.from_pretrained(folder, dtype=torch.float64)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(0).device == torch.device("cpu")


def logits(model):
    with torch.no_grad():
        return model(random_ids(2, 12))


def double_in_place(model):
    return model.to(torch.float64)


def load_state(model):
    model.load_state_dict(random_gpt(seed=4).state_dict())
    return model


def assign_state(model):
    model.load_state_dict(random_gpt(seed=4).state_dict(), assign=True)
    return model


def copy_and_change(model):
    return spread(copy.deepcopy(model), seed=4)


def change_in_place(model):
    return spread(model, seed=4)


def replace_parameters(model):
    for parent in [model, *model.modules()]:
        for name, weights in list(parent.named_parameters(recurse=False)):
            setattr(parent, name, torch.nn.Parameter(weights.detach() * 1.5))
    return model


def step(model):
    model(random_ids(2, 12)).square().mean().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return model


def pickle_and_change(model):
    return spread(pickle.loads(pickle.dumps(model)), seed=4)  # noqa: S301 (a copy of our own model)


def materialise(model):
    with torch.device("meta"):
        empty = GPT(model.config)
    return spread(empty.to_empty(device="cpu"), seed=4)


CHANGES = [
    double_in_place,
    load_state,
    assign_state,
    copy_and_change,
    pickle_and_change,
    change_in_place,
    replace_parameters,
    step,
    materialise,
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_forward_pass_uses_the_weights_that_the_state_dict_shows(change, model):
    """The forward pass reads its parameters by a short cut, which must not go stale."""
    before = logits(model)
    after = change(model)
    fresh = GPT(GPTConfig(**SIZES)).eval().to(after.dtype)
    fresh.load_state_dict(after.state_dict())
    assert torch.equal(logits(after), logits(fresh))
    assert not torch.equal(logits(after), before)


def test_a_functional_call_uses_the_weights_that_it_is_given(model):
    other = random_gpt(seed=4, dtype=torch.float32)
    with torch.no_grad():
        got = torch.func.functional_call(model, dict(other.named_parameters()), (random_ids(2, 12),))
    assert torch.equal(got, logits(other))


def test_a_deep_copy_shares_nothing_with_its_original(model):
    before = logits(model)
    spread(copy.deepcopy(model), seed=4)
    assert torch.equal(logits(model), before)
