"""The page's scene `memory`: its closed forms against minigpt.measure.forms, to the byte, and what it shows."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

import minigpt.page
from minigpt import GPT, GPTConfig
from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.memory import Plan, longest, nbytes
from minigpt.measure.forms.real_models import GPT2, NAMES, load
from minigpt.page import node, scene_data
from minigpt.uninitialised import without_init

SCENES = Path(minigpt.page.__file__).parent / "scenes"
CONTEXTS = 1, 2, 127, 128, 129, 130, 1023, 1024, 1025, 4097, 131072, 2**20
BATCHES = 1, 64
BITS = 16, 8, 4, 2
MEMORIES = 0, 8 * 10**9, 80 * 10**9

pytestmark = pytest.mark.skipif(not node.there(), reason="no `node` on the path: the page's forms are not tested")


def run(script: str, given, scenes: Path = SCENES):
    """What the script prints. In it, `bytes` is the module, and `given` what was given."""
    module = (scenes / "memory_bytes.mjs").as_uri()
    start = f'import * as bytes from "{module}"; import {{ readFileSync }} from "node:fs";'
    read = 'const given = JSON.parse(readFileSync(0, "utf8"));'
    command = ["node", "--input-type=module", "--eval", f"{start} {read} console.log(JSON.stringify({script}));"]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)


def plan(model: Architecture, batch: int, bits: int) -> Plan:
    """The cache that the page shows: a ring for windows, and a rounded one for fewer bits."""
    name = "quantized" if bits < 16 else "sliding_window" if any(model.windows) else "static"
    return Plan(name, bits, model, batch, {} if bits == 16 else {"nbits": bits})


def each_setting(of) -> dict:
    return {
        f"{name} {batch} {bits}": of(plan(load(name), batch, bits))
        for name in NAMES
        for batch in BATCHES
        for bits in BITS
    }


def each_of_the_page(script: str, models: list[dict], scenes: Path = SCENES, **given) -> dict:
    """The same settings there. In the script there are model, batch and bits."""
    settings = "(model) => given.batches.flatMap((batch) => given.bits.map((bits) =>"
    entries = f"given.models.flatMap({settings} [`${{model.name}} ${{batch}} ${{bits}}`, {script}])))"
    given |= {"models": models, "batches": BATCHES, "bits": BITS}
    return run(f"Object.fromEntries({entries})", given, scenes)


def held_there(models, scenes: Path = SCENES) -> dict:
    """The cache, the bytes that it holds in the end, and the most at any moment, for each context."""
    each = "given.contexts.map((n) => [bytes.heldBytes(model, n, batch, bits), bytes.peakBytes(model, n, batch, bits)])"
    return each_of_the_page(f"[bytes.cacheOf(model, bits), {each}]", models, scenes, contexts=CONTEXTS)


@pytest.fixture(scope="module")
def held_here() -> dict:
    return each_setting(lambda its: [its.cache, [[its.here(tokens), its.peak(tokens)] for tokens in CONTEXTS]])


@pytest.fixture(scope="module")
def models() -> list[dict]:
    return scene_data.memory()


def test_every_model_that_memory_knows_is_there(models):
    assert [model["name"] for model in models] == list(NAMES)


def test_bytes_held_and_at_most_are_those_of_the_closed_forms(models, held_here):
    assert held_there(models) == held_here


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("RESIDUAL = 128", "RESIDUAL = 127"),
        ("2 * scales", "scales"),
        ("tokens - 1 - RESIDUAL", "tokens - RESIDUAL"),
        ("Math.min(window ?? tokens, tokens)", "(window ?? tokens)"),
        ("(tokens - 1) * numbersOf", "tokens * numbersOf"),
        ("GROUP = 64", "GROUP = 128"),
        ("return batch * slots", "return slots"),
    ],
)
def test_a_wrong_closed_form_is_noticed(right, wrong, models, held_here, tmp_path):
    text = (SCENES / "memory_bytes.mjs").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "memory_bytes.mjs").write_text(text.replace(right, wrong), encoding="utf-8")
    assert held_there(models, tmp_path) != held_here


def test_the_longest_context_that_fits_is_that_of_the_closed_forms(models):
    script = "given.memories.map((memory) => bytes.longestContext(model, batch, bits, memory))"
    fits = each_setting(lambda its: [longest(its.peak, memory) for memory in MEMORIES])
    assert each_of_the_page(script, models, memories=MEMORIES) == fits
    assert fits["mistral-7b 1 16"][-1] is None, "any context, where all layers have a window"


def test_bytes_of_a_token_are_those_of_the_closed_forms(models):
    assert run("given.map(bytes.bytesOfToken)", models) == [nbytes(load(name), 1) for name in NAMES]


def test_heads_share_what_is_kept_as_each_model_is_known_for(models):
    kinds = {model["name"]: model["kind"] for model in models}
    assert {name for name, kind in kinds.items() if kind == "MHA"} == {"recall", "gpt2", "gpt2-xl"}
    assert {name for name, kind in kinds.items() if kind == "MLA"} == {"deepseek-v3"}
    heads = {model["name"]: model["heads"] for model in models}
    assert heads["gemma-3-4b"] == 8, "its file leaves them to its type"
    assert heads["llama-3.1-8b"] == 32


def test_parameters_as_published_are_those_of_the_model_where_it_can_be_built(models):
    published = {model["name"]: model["parameters"] for model in models}
    with without_init(), torch.device("meta"):
        built = sum(parameter.numel() for parameter in GPT(GPTConfig(**GPT2)).parameters())
    assert published["gpt2"] == pytest.approx(built, rel=0.005)
