"""Bad input is refused at the door, with a message that says what to do; the cache is then as it was.

CATALOGUE lists all of it, and the README quotes from it.
"""

import copy
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from helpers import SIZES, as_for_a_user, left_padding, positions_of, random_gpt, random_ids
from safetensors.torch import load_file, save_file

from minigpt.attention import NEVER
from minigpt.cache import CACHES, CacheError, CacheFull, make_cache
from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.pretrained import WEIGHTS, ModelFileError

NAMES = [name for name in CACHES if name != "none" and not CACHES[name].needs_window]
V, CONTEXT = SIZES["vocab_size"], SIZES["context"]
PADS, T = [0, 3], 13
HELD = T - 1
SLOTS = 20


class Scene:
    """A model, a left-padded text of two rows, and a cache that holds all of it but the last token."""

    def __init__(self, name: str, tmp_path: Path):
        self.tmp_path = tmp_path
        self.model = random_gpt()
        self.text, self.mask = random_ids(2, T), left_padding(PADS, T)
        options = {"max_cache_len": SLOTS} if name == "static" else {}
        self.cache = make_cache(name, self.model.config, batch_size=2, dtype=torch.float64, **options)
        with torch.no_grad():
            self.model(self.text, positions_of(self.mask), cache=self.cache)
        self.cache.crop(-1)
        self.streamed = []

    # What a streamer needs; a refusal should come before it is given anything.
    def put(self, value):
        self.streamed.append(value)

    def end(self):
        self.streamed.append("end")

    def generate(self, ids=None, mask=None, **arguments):
        return self.model.generate(self.text if ids is None else ids, mask, streamer=self, **arguments)

    def go_on(self, ids=None, mask=None, **arguments):
        """generate with the cache; by default with its own text and padding, and as far as it has room."""
        arguments = {"max_new_tokens": SLOTS + 1 - T, **arguments}
        return self.generate(ids, self.mask if mask is None else mask, cache=self.cache, **arguments)

    def beam(self, **arguments):
        arguments = {"max_new_tokens": SLOTS + 1 - T, "num_beams": 3, **arguments}
        return self.model.generate(self.text, self.mask, cache=self.cache, **arguments)

    @torch.no_grad()
    def forward(self, ids, positions=None, **arguments):
        return self.model(ids, positions, **arguments)

    def admit(self, *rows):
        return self.cache.admit(torch.tensor(rows))

    def update(self, layer=0, batch=2, tokens=1, heads=4, dtype=torch.float64):
        new = torch.ones(batch, tokens, heads, self.model.config.head_size, dtype=dtype)
        return self.cache.update(new, new, layer)

    def admit_and_update(self, layer=0, **shape):
        self.admit([HELD], [HELD - 3])
        self.update(layer, **shape)

    def cut_short(self):
        """The cache has taken in the last token, but no layer has its keys: as when a pass was interrupted."""
        self.cache.crop(-1)
        self.cache.admit(positions_of(self.mask)[:, HELD - 1 : HELD], self.text[:, HELD - 1 : HELD])

    def folder(self):
        random_gpt(dtype=torch.float32).save_pretrained(self.tmp_path / "model")
        return self.tmp_path / "model"

    def load(self, damage=lambda folder: None):
        folder = self.folder()
        damage(folder)
        return GPT.from_pretrained(folder)

    def load_config(self, **changes):
        settings = json.loads((self.folder() / "config.json").read_text()) | changes
        return self.load(lambda folder: (folder / "config.json").write_text(json.dumps(settings)))

    def load_tensors(self, **changes):
        tensors = load_file(self.folder() / WEIGHTS)
        tensors = {name: changes.get(name.removeprefix("transformer."), same) for name, same in tensors.items()}
        tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        return self.load(lambda folder: save_file(tensors, folder / WEIGHTS))

    def load_pickle(self):
        def only_a_pickle(folder):
            (folder / WEIGHTS).unlink()
            (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))

        return self.load(only_a_pickle)


@dataclass
class Bad:
    """One bad input: what is called, and how it is refused."""

    name: str
    call: Callable[[Scene], object]
    error: type[Exception]
    message: str
    before: Callable[[Scene], object] = field(default=lambda scene: None)  # good calls that lead there
    caches: tuple[str, ...] = tuple(NAMES)


def sizes(**changes):
    return GPTConfig(**{**SIZES, **changes})


CATALOGUE = [
    # --- the sizes of a model ---
    Bad("no vocabulary", lambda s: sizes(vocab_size=0), ValueError, r"vocab_size must be .* 1 or more, got 0"),
    Bad("half a layer", lambda s: sizes(n_layer=1.5), ValueError, r"n_layer must be a whole number.* got 1.5"),
    Bad("a yes for a size", lambda s: sizes(n_layer=True), ValueError, r"n_layer must be .* got True"),
    Bad("a size in words", lambda s: sizes(context="48"), ValueError, r"context must be .* got '48'"),
    Bad("heads that don't divide", lambda s: sizes(n_head=5), ValueError, r"n_embd 32 can't be split into n_head 5"),
    Bad("uneven groups", lambda s: sizes(n_kv_head=3), ValueError, r"n_head 4 must be a multiple of n_kv_head 3"),
    Bad("a window of 0", lambda s: sizes(window=0), ValueError, r"window must be .* 1 or more, got 0"),
    Bad("sinks alone", lambda s: sizes(sinks=2), ValueError, r"sinks 2 without a window"),
    Bad("sinks below 0", lambda s: sizes(window=3, sinks=-1), ValueError, r"sinks must be .* 0 or more, got -1"),
    Bad(
        "an epsilon of 0",
        lambda s: sizes(layer_norm_epsilon=0.0),
        ValueError,
        r"layer_norm_epsilon must be a positive number, got 0.0",
    ),
    # --- model files (tests/test_pretrained.py has more) ---
    Bad("no such folder", lambda s: GPT.from_pretrained(s.tmp_path / "no"), ModelFileError, r"/no: no such folder"),
    Bad(
        "no such name",
        lambda s: GPT.from_pretrained("nobody/nothing-here"),
        ModelFileError,
        r"nobody/nothing-here: no such folder, not in the local hub cache, and the hub did not give it",
    ),
    Bad(
        "a model of another kind",
        lambda s: s.load_config(model_type="llama"),
        ModelFileError,
        r"config.json: model_type is 'llama', this reads 'gpt2'",
    ),
    Bad(
        "another activation",
        lambda s: s.load_config(activation_function="relu"),
        ModelFileError,
        r"config.json: activation_function is 'relu', which changes .*; only 'gelu_new' or 'gelu_pytorch_tanh'",
    ),
    Bad(
        "a file cut short",
        lambda s: s.load(lambda folder: os.truncate(folder / WEIGHTS, 5000)),
        ModelFileError,
        r"model.safetensors: not a whole safetensors file",
    ),
    Bad(
        "a tensor missing",
        lambda s: s.load_tensors(**{"h.0.mlp.c_fc.bias": None}),
        ModelFileError,
        r"tensor h.0.mlp.c_fc.bias is missing",
    ),
    Bad(
        "a tensor of another shape",
        lambda s: s.load_tensors(**{"wpe.weight": torch.ones(CONTEXT - 1, 32)}),
        ModelFileError,
        r"model.safetensors: tensor wpe.weight has shape \(47, 32\), config.json says \(48, 32\)",
    ),
    Bad("only a pickle", lambda s: s.load_pickle(), ModelFileError, r"pickled weights are never opened"),
    Bad(
        "saving groups as GPT-2",
        lambda s: random_gpt(n_kv_head=2).save_pretrained(s.tmp_path / "new"),
        ValueError,
        r"GPT-2's format has no grouped heads: n_kv_head 2, n_head 4",
    ),
    Bad(
        "saving a window as GPT-2",
        lambda s: random_gpt(window=4).save_pretrained(s.tmp_path / "new"),
        ValueError,
        r"GPT-2's format has no window: window 4",
    ),
    # --- making a cache ---
    Bad("an unknown cache", lambda s: make_cache("fast", sizes()), ValueError, r"'fast'; there are none, concat, dyn"),
    Bad(
        "an unknown option",
        lambda s: make_cache("static", sizes(), max_len=9),
        ValueError,
        r"the static cache has no option max_len; it has .*max_cache_len",
    ),
    Bad("a cache of no rows", lambda s: make_cache("dynamic", sizes(), batch_size=0), ValueError, r"batch_size .* 0"),
    Bad("no slots", lambda s: make_cache("static", sizes(), max_cache_len=0), ValueError, r"max_cache_len .* got 0"),
    # --- the model called by itself ---
    Bad("float ids", lambda s: s.forward(torch.ones(2, 3)), ValueError, r"ids must be int64 .* got .* torch.float32"),
    Bad(
        "short integers",
        lambda s: s.forward(torch.ones(2, 3, dtype=torch.int32), cache=s.cache),
        ValueError,
        r"ids must be int64 .* got \(2, 3\) torch.int32",
    ),
    Bad("1-D ids", lambda s: s.forward(s.text[0], cache=s.cache), ValueError, r"ids must be .* \(B, T\).* \(13,\)"),
    Bad("no ids", lambda s: s.forward(s.text[:, :0], cache=s.cache), ValueError, r"at least one token, .* \(2, 0\)"),
    Bad("no rows", lambda s: s.forward(s.text[:0]), ValueError, r"at least one token, got \(0, 13\) torch.int64"),
    Bad(
        "an id past the vocabulary",
        lambda s: s.forward(torch.full((2, 1), V), cache=s.cache),
        ValueError,
        r"ids must lie in 0 ... 60 \(the vocabulary\), got 61 ... 61",
    ),
    Bad("an id below 0", lambda s: s.forward(s.text - V), ValueError, r"ids must lie in 0 ... 60"),
    Bad(
        "a text past the context",
        lambda s: s.forward(random_ids(2, CONTEXT + 1)),
        ValueError,
        r"positions must lie in 0 ... 47 \(the context\), got 0 ... 48",
    ),
    Bad(
        "a text past the context, with a cache",
        lambda s: s.forward(random_ids(2, CONTEXT + 1 - HELD), cache=s.cache),
        ValueError,
        r"positions must lie in 0 ... 47 .* got 9 ... 48",
    ),
    Bad(
        "positions of another shape",
        lambda s: s.forward(s.text[:, -1:], torch.tensor([[12]]), cache=s.cache),
        ValueError,
        r"positions must have the shape of ids, \(2, 1\), got \(1, 1\)",
    ),
    Bad(
        "float positions",
        lambda s: s.forward(s.text, positions_of(s.mask).float()),
        ValueError,
        r"positions must be int64 .* got .* torch.float32",
    ),
    Bad(
        "training with a cache",
        lambda s: s.forward(s.text[:, -1:], cache=s.cache),
        CacheError,
        r"this cache is for inference, and the model is in training mode.*carries none\. Call model.eval\(\)",
        before=lambda s: s.model.train(),
    ),
    Bad(
        "gradients with a cache",
        lambda s: s.model(s.text[:, -1:], cache=s.cache),
        CacheError,
        r"gradients are on.* use torch.no_grad\(\)",
    ),
    Bad(
        "a cache of another model",
        lambda s: random_gpt(n_kv_head=2).generate(s.text, s.mask, cache=s.cache),
        CacheError,
        r"the cache was made for GPTConfig\(.*n_kv_head=4.*n_kv_head=2",
    ),
    Bad(
        "another batch size",
        lambda s: s.forward(s.text[:1, -1:], cache=s.cache),
        CacheError,
        r"made for batch_size 2, got 1 rows: make_cache\(..., batch_size=1\), or select\(rows\)",
    ),
    Bad(
        "a static cache overflows",
        lambda s: s.forward(random_ids(2, SLOTS + 1 - HELD), cache=s.cache),
        CacheFull,
        r"needs 21 slots, has 20: raise max_cache_len",
        caches=("static",),
    ),
    # --- the arguments of generate ---
    Bad(
        "a float prompt",
        lambda s: s.generate(s.text.float()),
        ValueError,
        r"input_ids must be int64 .* torch.float32",
    ),
    Bad(
        "a list for a prompt",
        lambda s: s.generate([[1, 2]]),
        ValueError,
        r"input_ids must be int64 .* got \[\[1, 2\]\]",
    ),
    Bad("a prompt elsewhere", lambda s: s.generate(s.text.to("meta")), ValueError, r"input_ids are on meta, the model"),
    Bad("half an eos", lambda s: s.generate(eos_token_id=1.5), ValueError, r"must be ids of the vocabulary, got 1.5"),
    Bad("an eos by name", lambda s: s.generate(eos_token_id=["x"]), ValueError, r"must be ids of .*, got 'x'"),
    Bad("half a chunk", lambda s: s.generate(prefill_chunk_size=2.5), ValueError, r"prefill_chunk_size 2.5 must be"),
    Bad("a half mask", lambda s: s.generate(mask=s.mask * 0.5), ValueError, r"attention_mask must be 0 or 1"),
    Bad("an epsilon in words", lambda s: sizes(layer_norm_epsilon="x"), ValueError, r"a positive number, got 'x'"),
    Bad("a 1-D prompt", lambda s: s.generate(s.text[0]), ValueError, r"input_ids must be .* shape \(B, T\).* \(13,\)"),
    Bad("an empty prompt", lambda s: s.generate(s.text[:, :0]), ValueError, r"at least one token, got \(2, 0\)"),
    Bad(
        "a prompt past the vocabulary", lambda s: s.generate(s.text + V), ValueError, r"input_ids must lie in 0 ... 60"
    ),
    Bad("nothing to do", lambda s: s.generate(max_new_tokens=0), ValueError, r"max_new_tokens must be .* got 0"),
    Bad("half a token", lambda s: s.generate(max_new_tokens=2.5), ValueError, r"max_new_tokens must be .* got 2.5"),
    Bad(
        "more than the context",
        lambda s: s.generate(max_new_tokens=CONTEXT),
        ValueError,
        r"13 prompt tokens and 48 new ones end at position 60, but the context is 48: max_new_tokens can be 36 at most",
    ),
    Bad(
        "padding on the right", lambda s: s.generate(mask=s.mask.flip(1)), ValueError, r"on the right.*pad on the left"
    ),
    Bad(
        "a hole in a row",
        lambda s: s.generate(mask=s.mask.index_fill(1, torch.tensor(5), 0)),
        ValueError,
        r"padding on the right, or an empty row: pad on the left",
    ),
    Bad("an empty row", lambda s: s.generate(mask=s.mask * torch.tensor([[1], [0]])), ValueError, r"an empty row"),
    Bad("a mask of another shape", lambda s: s.generate(mask=s.mask[:1]), ValueError, r"attention_mask .* \(1, 13\)"),
    Bad("a mask of other numbers", lambda s: s.generate(mask=s.mask * 2), ValueError, r"attention_mask must be 0 or 1"),
    Bad(
        "generate with an unknown cache",
        lambda s: s.generate(cache_implementation="hybrid"),
        ValueError,
        r"no cache is named 'hybrid'; there are none, concat, dynamic, static",
    ),
    Bad(
        "generate with an unknown option",
        lambda s: s.generate(cache_config={"nbits": 4}),
        ValueError,
        r"the dynamic cache has no option nbits",
    ),
    Bad(
        "slots for a cache that grows",
        lambda s: s.generate(max_cache_len=99),
        ValueError,
        r"the dynamic cache has no option max_cache_len",
    ),
    Bad(
        "too few slots",
        lambda s: s.generate(cache_implementation="static", max_cache_len=31),
        CacheFull,
        r"needs 32 slots \(the last token takes none\), has 31: raise max_cache_len",
    ),
    Bad(
        "a cache and no cache",
        lambda s: s.generate(use_cache=False, cache_implementation="static"),
        ValueError,
        r"use_cache=False leaves no cache for cache_implementation",
    ),
    Bad("two caches", lambda s: s.go_on(cache_implementation="static"), ValueError, r"cache= is used as it is"),
    Bad(
        "options for a cache that is there", lambda s: s.go_on(max_cache_len=9), ValueError, r"cache= is used as it is"
    ),
    Bad("a chunk of 0", lambda s: s.go_on(prefill_chunk_size=0), ValueError, r"prefill_chunk_size 0 must be 1 or more"),
    Bad(
        "chunks without a cache",
        lambda s: s.generate(use_cache=False, prefill_chunk_size=4),
        ValueError,
        r"prefill_chunk_size 4 must be .* with a cache that keeps the pieces",
    ),
    Bad("a temperature and no drawing", lambda s: s.generate(temperature=0.7), ValueError, r"add do_sample=True"),
    Bad("top_k and no drawing", lambda s: s.generate(top_k=5), ValueError, r"add do_sample=True"),
    Bad("top_p and no drawing", lambda s: s.generate(top_p=0.9), ValueError, r"add do_sample=True"),
    Bad("a seed and no drawing", lambda s: s.generate(seed=0), ValueError, r"add do_sample=True"),
    Bad(
        "a temperature of 0",
        lambda s: s.go_on(do_sample=True, temperature=0.0),
        ValueError,
        r"temperature must be above 0, got 0.0: .* use do_sample=False",
    ),
    Bad("a top_k below 0", lambda s: s.go_on(do_sample=True, top_k=-1), ValueError, r"top_k must be 1 or more, or 0"),
    Bad("a top_p of 0", lambda s: s.go_on(do_sample=True, top_p=0.0), ValueError, r"top_p must lie in \(0, 1\], got 0"),
    Bad("a top_p of 2", lambda s: s.go_on(do_sample=True, top_p=2.0), ValueError, r"top_p must lie in \(0, 1\], got 2"),
    Bad("an eos of nowhere", lambda s: s.go_on(eos_token_id=[3, V]), ValueError, r"eos_token_id .* got 61"),
    Bad("a pad of nowhere", lambda s: s.go_on(eos_token_id=3, pad_token_id=-1), ValueError, r"pad_token_id .* got -1"),
    # --- several texts a row ---
    Bad("no beams", lambda s: s.go_on(num_beams=0), ValueError, r"num_beams must be .* 1 or more, got 0"),
    Bad("half a beam", lambda s: s.go_on(num_beams=1.5), ValueError, r"num_beams must be .* got 1.5"),
    Bad("no text", lambda s: s.go_on(num_return_sequences=0), ValueError, r"num_return_sequences must be .* got 0"),
    Bad(
        "two greedy texts",
        lambda s: s.go_on(num_return_sequences=2),
        ValueError,
        r"num_return_sequences 2: greedily a row has one text; add do_sample=True, or num_beams=2",
    ),
    Bad("more texts than beams", lambda s: s.beam(num_return_sequences=4), ValueError, r"4 of num_beams 3: .* more"),
    Bad(
        "drawn beams", lambda s: s.beam(do_sample=True), ValueError, r"num_beams 3 searches: leave out do_sample, temp"
    ),
    Bad("beams with a temperature", lambda s: s.beam(temperature=0.7), ValueError, r"num_beams 3 searches: leave out"),
    Bad("beams with a seed", lambda s: s.beam(seed=0), ValueError, r"num_beams 3 searches: leave out .* and seed"),
    Bad(
        "a streamer that can't be put to",
        lambda s: s.model.generate(s.text, s.mask, max_new_tokens=2, cache=s.cache, streamer=print),
        ValueError,
        r"streamer must have put\(ids\) and end\(\)",
    ),
    Bad(
        "a draw by word", lambda s: s.go_on(do_sample="yes"), ValueError, r"do_sample must be True or False, got 'yes'"
    ),
    Bad("beams that stream", lambda s: s.go_on(num_beams=3), ValueError, r"which beam is best .*: leave streamer out"),
    Bad("a stop of words", lambda s: s.beam(early_stopping="x"), ValueError, r'True or "never", got \'x\''),
    Bad("a stop of 1", lambda s: s.beam(early_stopping=1), ValueError, r"early_stopping must be .* got 1"),
    Bad("a penalty of words", lambda s: s.beam(length_penalty="x"), ValueError, r"length_penalty must .* got 'x'"),
    Bad(
        "an endless penalty", lambda s: s.beam(length_penalty=1e9), ValueError, r"must lie in -33 ... 33 .* got 1000000"
    ),
    Bad("one penalty more", lambda s: s.beam(length_penalty=34), ValueError, r"in -33 ... 33 for 8 new tokens, got 34"),
    Bad("one penalty less", lambda s: s.beam(length_penalty=-34), ValueError, r"-33 ... 33 for 8 new tokens, got -34"),
    Bad("a huge penalty", lambda s: s.beam(length_penalty=10**400), ValueError, r"in -33 ... 33 for 8 new tokens, got"),
    Bad("a penalty and no beams", lambda s: s.go_on(length_penalty=2.0), ValueError, r"are for beams: add num_beams=4"),
    Bad("stopping and no beams", lambda s: s.go_on(early_stopping=True), ValueError, r"are for beams: add num_beams=4"),
    Bad("too many beams", lambda s: s.beam(num_beams=31), ValueError, r"num_beams 31: with a vocabulary of 61, 30 at"),
    Bad(
        "too many beams for so many ends",
        lambda s: s.beam(num_beams=16, eos_token_id=[1, 2, 3]),
        ValueError,
        r"num_beams 16: with a vocabulary of 61 and 3 eos tokens, 15 at most",
    ),
    # --- going on with a cache ---
    Bad(
        "another text",
        lambda s: s.go_on(s.text.index_fill(1, torch.tensor(6), 0)),
        CacheError,
        r"another text: row 0, token 6 is \d+ in the cache and 0 in input_ids; reset\(\) it, or crop\(-n\)",
    ),
    Bad(
        "only the new tokens",
        lambda s: s.go_on(s.text[:, -1:], s.mask[:, -1:]),
        CacheError,
        r"the cache holds 12 tokens, input_ids only 1: give the whole text so far",
    ),
    Bad(
        "nothing new",
        lambda s: s.go_on(s.text[:, :HELD], s.mask[:, :HELD]),
        CacheError,
        r"the cache holds 12 tokens, input_ids only 12: .* or take tokens back with crop\(-n\)",
    ),
    Bad("padding forgotten", lambda s: s.go_on(mask=s.mask | 1), CacheError, r"filled with other left padding"),
    Bad(
        "other padding",
        lambda s: s.go_on(mask=left_padding([0, 2], T)),
        CacheError,
        r"the cache was filled with other left padding than attention_mask says",
    ),
    Bad(
        "another number of rows",
        lambda s: s.go_on(s.text[:1], s.mask[:1]),
        CacheError,
        r"made for batch_size 2, got 1 rows",
    ),
    Bad(
        "more than is left",
        lambda s: s.go_on(max_new_tokens=SLOTS + 2 - T),
        CacheFull,
        r"needs 21 slots \(the last token takes none\), has 20: raise max_cache_len",
        caches=("static",),
    ),
    Bad(
        "generating in training mode",
        lambda s: s.go_on(),
        CacheError,
        r"the model is in training mode",
        before=lambda s: s.model.train(),
    ),
    Bad(
        "a model of another dtype",
        lambda s: s.go_on(),
        CacheError,
        r"keeps torch.float64 on cpu, the model is torch.float32 .* make_cache\(..., dtype=model.dtype",
        before=lambda s: s.model.float(),
    ),
    Bad(
        "an unfinished pass",
        lambda s: s.go_on(),
        CacheError,
        r"the last forward pass stopped after 0 of 2 layers: crop\(-1\) takes its tokens back",
        before=lambda s: s.cut_short(),
    ),
    # --- arguments of another type ---
    Bad("a crop of nothing", lambda s: s.cache.crop(None), CacheError, r"crop\(None\): crop\(-n\) takes"),
    Bad("a crop by words", lambda s: s.cache.crop("all"), CacheError, r"crop\('all'\)"),
    Bad("rows of nothing", lambda s: s.cache.select(None), CacheError, r"select wants a list of row numbers, got None"),
    Bad("rows by words", lambda s: s.cache.select("all"), CacheError, r"select wants a list of row numbers, got 'all'"),
    Bad("half rows", lambda s: s.cache.select([0.5]), CacheError, r"select wants a list of row numbers, got \[0.5\]"),
    Bad("admitting nothing", lambda s: s.cache.admit(None), CacheError, r"got neither"),
    Bad("admitting a list", lambda s: s.cache.admit([[12], [9]]), CacheError, r"positions must be int64 .* \[\[12\]"),
    Bad(
        "admitting half tokens",
        lambda s: s.cache.admit(torch.tensor([[12], [9]]), torch.tensor([[1.5], [2.5]])),
        CacheError,
        r"ids must be int64 .* torch.float32",
    ),
    Bad("a position after never", lambda s: s.admit([NEVER + 1], [9]), CacheError, r"must rise .* got \[2147483648\]"),
    Bad(
        "an update of nothing",
        lambda s: (s.admit([12], [9]), s.cache.update(None, None, 0)),
        CacheError,
        r"the cache keeps \(2, 1, 4, 8\) .* got None",
    ),
    Bad("a warm temperature", lambda s: s.go_on(do_sample=True, temperature="x"), ValueError, r"above 0, got 'x'"),
    Bad(
        "nearly no temperature", lambda s: s.go_on(do_sample=True, temperature=1e-46), ValueError, r"above 0, got 1e-46"
    ),
    Bad("a seed of True", lambda s: s.go_on(do_sample=True, seed=True), ValueError, r"seed must be .* got True"),
    Bad("options by number", lambda s: s.generate(cache_config={3: 4}), ValueError, r"cache_config must be a dict"),
    Bad(
        "other rows in an unfinished pass",
        lambda s: s.cache.select([1, 0]),
        CacheError,
        r"stopped after 0 of 2 layers: crop\(-1\) takes its tokens back",
        before=lambda s: s.cut_short(),
    ),
    Bad("a top_k of True", lambda s: s.go_on(do_sample=True, top_k=True), ValueError, r"top_k must be .* got True"),
    Bad("a top_p of words", lambda s: s.go_on(do_sample=True, top_p="x"), ValueError, r"top_p must lie .* got 'x'"),
    Bad(
        "a seed of 100 bits", lambda s: s.go_on(do_sample=True, seed=2**100), ValueError, r"most 64 bits, .* got 126765"
    ),
    Bad("a seed one too high", lambda s: s.go_on(do_sample=True, seed=2**64), ValueError, r"at most 64 bits, or None"),
    Bad(
        "a seed one too low", lambda s: s.go_on(do_sample=True, seed=-(2**63) - 1), ValueError, r"at most 64 bits, or N"
    ),
    Bad("a cache or not, in words", lambda s: s.go_on(use_cache="no"), ValueError, r"use_cache must be .* got 'no'"),
    Bad("a cache or not, as 0", lambda s: s.generate(use_cache=0), ValueError, r"use_cache must be True .* got 0"),
    Bad("a seed of words", lambda s: s.go_on(do_sample=True, seed="x"), ValueError, r"seed must be .* got 'x'"),
    Bad("an eos of True", lambda s: s.go_on(eos_token_id=True), ValueError, r"ids of the vocabulary, got True"),
    Bad("a mask of words", lambda s: s.generate(mask="x"), ValueError, r"attention_mask must be a tensor .* got 'x'"),
    Bad("options in a list", lambda s: s.generate(cache_config=[1]), ValueError, r"cache_config must be a dict"),
    Bad("a cache in a list", lambda s: s.generate(cache_implementation=[1]), ValueError, r"no cache is named \[1\]"),
    Bad("a cache of words", lambda s: s.generate(cache="x"), ValueError, r"one that make_cache gives, got 'x'"),
    Bad("a kind of cache", lambda s: s.forward(s.text, cache=type(s.cache)), ValueError, r"one that make_cache gives"),
    Bad("yes new tokens", lambda s: s.generate(max_new_tokens=True), ValueError, r"max_new_tokens must be .* got True"),
    Bad("too many new tokens", lambda s: s.generate(max_new_tokens=2**70), ValueError, r"max_new_tokens can be 36 at"),
    Bad(
        "a mask in the place of positions, without a cache",
        lambda s: s.forward(s.text, s.mask),
        CacheError,
        r"must rise .* got \[1, 1, 1",
    ),
    Bad("a model of a name", lambda s: GPT("recall"), ValueError, r"wants a GPTConfig .* got a str"),
    Bad("positions in a list", lambda s: s.forward(s.text, [[0]]), ValueError, r"positions must be int64 .* \[\[0\]\]"),
    Bad(
        "a config of nothing", lambda s: make_cache("dynamic", None), ValueError, r"the config of the model to be serve"
    ),
    Bad(
        "keys in whole numbers",
        lambda s: make_cache("dynamic", s.model.config, dtype=torch.int64),
        ValueError,
        r"dtype must be one of torch's floating-point types, .* got torch.int64",
    ),
    Bad(
        "a device of words",
        lambda s: make_cache("dynamic", s.model.config, device="x"),
        ValueError,
        r"device x can't be used: Expected one of cpu",
    ),
    # --- the verbs ---
    Bad(
        "a crop to keep",
        lambda s: s.cache.crop(4),
        CacheError,
        r"crop\(4\): .*to keep the first n, crop\(n - cache\.length\)$",
    ),
    Bad("half a crop", lambda s: s.cache.crop(-1.5), CacheError, r"crop\(-1.5\): crop\(-n\) takes"),
    Bad("a crop too far", lambda s: s.cache.crop(-13), CacheError, r"crop\(-13\): the cache holds only 12 tokens"),
    Bad("a row that isn't there", lambda s: s.cache.select([0, 2]), CacheError, r"select.*has rows 0 to 1"),
    Bad("a row from the end", lambda s: s.cache.select([-1]), CacheError, r"select.*has rows 0 to 1"),
    Bad("no row left", lambda s: s.cache.select([]), CacheError, r"select wants a list of row numbers, got \[\]"),
    Bad("rows by yes and no", lambda s: s.cache.select([True, False]), CacheError, r"select wants a list of row num"),
    Bad("rows of rows", lambda s: s.cache.select([[0, 1]]), CacheError, r"select wants a list of row numbers"),
    Bad("falling positions", lambda s: s.admit([12, 11], [9, 10]), CacheError, r"must rise .* got \[12, 11\]"),
    Bad("a position twice", lambda s: s.admit([12, 13], [9, 9]), CacheError, r"must rise .* got \[9, 9\]"),
    Bad(
        "a position held already", lambda s: s.admit([11], [9]), CacheError, r"must rise .*next: \[12, 9\].* got \[11\]"
    ),
    Bad("padding after tokens", lambda s: s.admit([12], [NEVER]), CacheError, r"after left padding"),
    Bad("a position below 0", lambda s: s.admit([12], [-1]), CacheError, r"must rise .* got \[-1\]"),
    Bad("positions for one row", lambda s: s.admit([12]), CacheError, r"made for batch_size 2, got 1 rows"),
    Bad("positions in halves", lambda s: s.admit([12.5], [9.5]), CacheError, r"positions must be int64"),
    Bad("no positions", lambda s: s.admit([], []), CacheError, r"positions must be int64"),
    Bad("1-D positions", lambda s: s.admit(12, 9), CacheError, r"positions must be .* \(B, T\)"),
    Bad(
        "an update without admit",
        lambda s: s.update(),
        CacheError,
        r"update for layer 0 out of turn: admit comes next",
    ),
    Bad(
        "a layer too early",
        lambda s: s.update(layer=1),
        CacheError,
        r"update for layer 1 out of turn: layer 0 comes next",
        before=lambda s: s.admit([12], [9]),
    ),
    Bad(
        "a layer twice",
        lambda s: s.update(layer=0),
        CacheError,
        r"update for layer 0 out of turn: layer 1 comes next",
        before=lambda s: s.admit_and_update(),
    ),
    Bad(
        "keys of another dtype",
        lambda s: s.admit_and_update(dtype=torch.float32),
        CacheError,
        r"keeps \(2, 1, 4, 8\) torch.float64 on cpu, got \(2, 1, 4, 8\) torch.float32",
    ),
    Bad(
        "keys of another dtype for a later layer",
        lambda s: s.update(layer=1, dtype=torch.float16),
        CacheError,
        r"torch.float64 on cpu, got \(2, 1, 4, 8\) torch.float16",
        before=lambda s: s.admit_and_update(),
    ),
    Bad(
        "too few key heads", lambda s: s.admit_and_update(heads=2), CacheError, r"keeps \(2, 1, 4, 8\).*\(2, 1, 2, 8\)"
    ),
    Bad("too many keys", lambda s: s.admit_and_update(tokens=2), CacheError, r"keeps \(2, 1, 4, 8\) .* \(2, 2, 4, 8\)"),
    Bad("keys for one row", lambda s: s.admit_and_update(batch=1), CacheError, r"keeps \(2, 1, 4, 8\).*\(1, 1, 4, 8\)"),
    Bad(
        "admit in an unfinished pass",
        lambda s: s.admit([13], [10]),
        CacheError,
        r"the last forward pass stopped after 1 of 2 layers: crop\(-1\) takes its tokens back",
        before=lambda s: s.admit_and_update(),
    ),
    Bad(
        "half a chunk back",
        lambda s: s.cache.crop(-1),
        CacheError,
        r"crop\(-1\) would keep part of .*stopped after 0 of 2 layers: crop\(-2\) takes its tokens back",
        before=lambda s: s.admit([12, 13], [9, 10]),
    ),
]


def book(cache):
    """All that a cache shows of itself."""
    return {
        "length": cache.length,
        "batch_size": cache.batch_size,
        "positions": cache.positions.tolist(),
        "ids": cache.ids.tolist(),
        "next_position": cache.next_position.tolist(),
        "nbytes": cache.nbytes,
        "chunk and layers written": (cache.text.new, cache.layers_written) if cache.in_a_pass else None,
    }


@torch.no_grad()
def next_logits(model, cache):
    """What the model says next; an unfinished pass is taken back first."""
    if cache.in_a_pass:
        cache.crop(-cache.text.new)
    return model.double().eval()(torch.tensor([[17], [42]]), cache=cache)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.name) for bad in CATALOGUE])
def test_bad_input_is_refused_and_the_cache_is_as_before(bad, tmp_path):
    for name in bad.caches:
        scene = Scene(name, tmp_path / name)
        bad.before(scene)
        twin, state = copy.deepcopy(scene.cache), book(scene.cache)
        with as_for_a_user(), pytest.raises(bad.error, match=bad.message) as refusal:
            bad.call(scene)
        assert type(refusal.value) is bad.error, name
        assert scene.streamed == [], f"{name}: refused only after the streamer had been given something"
        assert book(scene.cache) == state, name
        assert torch.equal(next_logits(scene.model, scene.cache), next_logits(scene.model, twin)), name


def test_the_catalogue_is_a_list_of_different_things():
    names = [bad.name for bad in CATALOGUE]
    assert len(names) == len(set(names)) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_what_the_catalogue_spoils_is_good_as_it_stands(name, tmp_path):
    """The scene itself is in order, so each refusal comes from what its entry adds."""
    scene = Scene(name, tmp_path)
    with torch.no_grad():
        want = scene.model(scene.text, positions_of(scene.mask))[:, -1:]
        got = scene.forward(scene.text[:, -1:], cache=scene.cache)
    assert (got - want).abs().max() <= 1e-10
    scene.cache.crop(-1)
    scene.go_on()
    scene.cache.crop(HELD - scene.cache.length)
    scene.cache.select([1, 0])
    for layer in range(2):
        if layer == 0:
            scene.admit([HELD - 3], [HELD])
        scene.update(layer)
    scene.load()
    assert len(scene.streamed) == 1 + SLOTS + 1 - T + 1
