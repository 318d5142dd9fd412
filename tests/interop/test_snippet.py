"""The article's snippet on a Llama of transformers, with a cache of ours as `cache`; and what the package imports."""

import subprocess
import sys
import threading

import pytest
import torch
from families import generate, model, text, transformers
from helpers import spread
from test_article import SNIPPET

from minigpt.interop import cache_for
from minigpt.pretrained import model_folder

CACHES = {
    "dynamic": {},
    "static": {"max_cache_len": 32},
    "offloaded": {},
    "quantized": {"nbits": 4},  # so short a text is not rounded
    "quantized at once": {"nbits": 8, "q_group_size": 16, "residual_length": 0},
}
WITH_OURS = "from minigpt.interop import cache_for" + SNIPPET.replace("**HOW", "cache=cache_for(model, **HOW)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Llama with random weights, and the tokenizer of the bundled model."""
    config = transformers.LlamaConfig(
        vocab_size=1024, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("llama")
    spread(transformers.LlamaForCausalLM(config), seed=1).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(str(model_folder("recall"))).save_pretrained(folder)
    transformers.logging.disable_progress_bar()
    return str(folder)


def run(snippet, folder, how):
    names = {"FOLDER": folder, "HOW": how}
    exec(snippet, names)  # noqa: S102
    return names["out"], names["text"]


@pytest.mark.parametrize("name", CACHES)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_the_snippet_runs_with_a_cache_of_ours(name, dtype, folder):
    how = {"name": name.split()[0], **CACHES[name]}
    out, written = run(WITH_OURS.replace("bfloat16", dtype), folder, how)
    assert out.shape == (1, 13 + 20)
    assert written.startswith("A list of colors: red, blue")
    if dtype == "float64" and name != "quantized at once":
        want, _ = run(SNIPPET.replace("bfloat16", dtype), folder, {"use_cache": False})
        assert torch.equal(out, want)


def test_the_package_alone_does_not_import_transformers():
    code = "import sys, minigpt.cache, minigpt.generate; from minigpt import GPT, make_cache; "
    code += "assert not {'transformers', 'minigpt.interop'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_transformers_the_error_says_what_to_do():
    code = "import sys; sys.modules['transformers'] = None; import minigpt.interop"
    error = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "ImportError: minigpt.interop needs transformers: pip install 'transformers>=5.24'" in error


def test_with_an_old_transformers_the_error_says_what_to_do():
    code = "import sys, types; old = types.ModuleType('transformers'); old.__version__ = '5.9.1'; "
    code += "sys.modules['transformers'] = old; import minigpt.interop"
    error = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "needs transformers 5.24 or later, and 5.9.1 is installed" in error


def test_text_streams_from_another_thread_and_the_cache_goes_on_in_this_one():
    theirs, (ids, mask, _) = model("llama"), text([0], 9)
    cache, out = cache_for(theirs, "dynamic"), []
    thread = threading.Thread(target=lambda: out.append(generate(theirs, ids, mask, cache=cache)))
    thread.start()
    thread.join()
    longer = torch.cat([out[0], ids], dim=1)
    want = generate(theirs, longer, torch.ones_like(longer), use_cache=False)
    assert torch.equal(generate(theirs, longer, torch.ones_like(longer), cache=cache.for_text(longer)), want)


def test_a_pass_of_another_thread_between_announcing_and_storing_is_refused():
    theirs, (ids, mask, _) = model("llama"), text([0], 9)
    cache = cache_for(theirs, "dynamic")

    @torch.no_grad()  # each thread says so for itself
    def announce():
        cache.announce(theirs.model, ids, None, mask, None)

    def intrude(*_):
        thread = threading.Thread(target=announce)
        thread.start()
        thread.join()

    refused = pytest.raises(RuntimeError, match="another thread uses this cache")
    with theirs.model.layers[0].register_forward_pre_hook(intrude), refused:
        generate(theirs, ids, mask, cache=cache)
    assert torch.equal(generate(theirs, ids, mask, cache=cache), generate(theirs, ids, mask, use_cache=False))


def test_a_pass_that_was_interrupted_can_be_taken_back():
    theirs, (ids, mask, _) = model("llama"), text([0], 9)
    cache = cache_for(theirs, "dynamic")
    with theirs.model.layers[1].register_forward_pre_hook(lambda *_: 1 / 0), pytest.raises(ZeroDivisionError):
        generate(theirs, ids, mask, cache=cache)
    with pytest.raises(RuntimeError, match=r"stopped after 1 of 2 layers: crop\(-9\) takes its tokens back"):
        generate(theirs, ids, mask, cache=cache)
    cache.crop(-9)
    assert torch.equal(generate(theirs, ids, mask, cache=cache), generate(theirs, ids, mask, use_cache=False))


def test_embeddings_serve_in_place_of_ids_and_then_the_text_can_t_be_checked():
    theirs, (ids, mask, positions) = model("llama"), text([0, 3], 9)
    cache = cache_for(theirs, "dynamic")
    with torch.no_grad():
        embeddings = theirs.model.embed_tokens(ids)
        given = {"attention_mask": mask, "position_ids": positions}
        got = theirs(inputs_embeds=embeddings, cache=cache, **given).logits
        assert torch.equal(got, theirs(ids, use_cache=False, **given).logits)
    with pytest.raises(RuntimeError, match="filled by admit without ids"):
        cache.for_text(torch.cat([ids, ids], 1), torch.cat([mask, mask * 0 + 1], 1))
