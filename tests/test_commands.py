"""The command line, as a user meets it: what it prints, where, and its exit codes."""

import json
import os
import subprocess
import sys

import pytest
import torch

import minigpt
from minigpt.__main__ import main
from minigpt.cache import CACHES, DynamicCache
from minigpt.config import GPTConfig
from minigpt.model import GPT


def python(*arguments, **options):
    """A fresh interpreter that treats warnings as errors."""
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def test_help_needs_no_torch():
    """Else it takes seconds. Modules, not time: a busy machine is no bug."""
    check = "import sys; from minigpt.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    result = python("-c", check + "assert not {'torch', 'numpy', 'rich', 'tokenizers'} & set(sys.modules)")
    assert result.returncode == 0, result.stderr
    assert "compare" in result.stdout


def test_importing_the_package_opens_no_connection_and_loads_nothing_heavy():
    check = (
        "import socket, sys\ndef refuse(*_): raise RuntimeError('a connection')\nsocket.socket.connect = refuse\n"
        "import minigpt\nassert 'torch' not in sys.modules\nminigpt.GPT"
    )
    result = python("-c", check)
    assert result.returncode == 0, result.stderr


def test_the_main_job_compares_every_cache_and_says_yes(capsys):
    assert main(["--new-tokens", "12"]) == 0
    out = capsys.readouterr()
    assert out.err == "", "progress is for terminals"
    for name in CACHES:
        assert any(line.split()[:2] == [name, "12"] for line in out.out.splitlines()), (
            f"{name}: 12 tokens as its oracle"
        )
    assert "12 times in each layer" in out.out


def test_json_is_one_object_that_says_the_same(capsys):
    assert main(["compare", "--json", "--new-tokens", "9", "--prompt", "To be, or not", "--cache", "dynamic"]) == 0
    result = json.loads(capsys.readouterr().out)
    none, dynamic = result["caches"]
    prompt, fed = result["prompt_tokens"], result["prompt_tokens"] + 9 - 1
    assert (none["cache"], dynamic["cache"]) == ("none", "dynamic")
    assert dynamic["tokens_equal"] is True
    assert dynamic["largest_logit_difference"] < 1e-4
    assert none["kv_rows_needed"] == dynamic["kv_rows_computed"] == 3 * fed
    assert none["kv_rows_computed"] == 3 * sum(range(prompt, fed + 1))
    assert none["most_times"] == 9
    assert none["nbytes"] == 0 < dynamic["nbytes"]
    assert result["prompt"] == "To be, or not"
    assert result["setting"]["dtype"] == "float32"


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_compare_takes_a_folder_and_a_dtype(dtype, tmp_path, capsys):
    bundled = GPT.from_pretrained("recall")
    bundled.save_pretrained(tmp_path)
    from minigpt.pretrained import model_folder

    tokenizer = (model_folder("recall") / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    code = main(["compare", "--json", "--new-tokens", "5", "--model", str(tmp_path), "--dtype", dtype])
    result = json.loads(capsys.readouterr().out)
    assert code == (0 if all(line["tokens_equal"] for line in result["caches"]) else 1)
    if dtype == "float64":
        assert code == 0
        assert max(line["largest_logit_difference"] for line in result["caches"]) < 1e-5  # compared in float32


def test_a_cache_that_computes_something_else_is_seen_and_is_exit_code_1(monkeypatch, capsys):
    def forgetful(self, k, v, layer):
        keys, values = kept(self, k, v, layer)
        return keys * (torch.arange(keys.shape[1]) > 3)[:, None, None], values

    kept = DynamicCache.store
    monkeypatch.setattr(DynamicCache, "store", forgetful)
    assert main(["--new-tokens", "20", "--json"]) == 1
    lines = {line["cache"]: line for line in json.loads(capsys.readouterr().out)["caches"]}
    assert not lines["dynamic"]["tokens_equal"]
    assert lines["dynamic"]["first_difference"] is not None
    assert lines["dynamic"]["largest_logit_difference"] > 0.1
    assert lines["static"]["tokens_equal"]
    assert main(["--new-tokens", "20"]) == 1
    assert "to " in capsys.readouterr().out


def test_generate_streams_the_text_that_generate_makes(capsys):
    prompt = "ROMEO.\nShall I"
    assert main(["generate", prompt, "--new-tokens", "20"]) == 0
    streamed = capsys.readouterr().out
    assert main(["generate", prompt, "--new-tokens", "20", "--cache", "none"]) == 0
    assert capsys.readouterr().out == streamed
    assert streamed.startswith(prompt)
    assert len(streamed) > len(prompt) + 10


def test_generate_draws_repeatably(capsys):
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["generate", "HAMLET.\n", "--new-tokens", "30", "--do-sample", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_bench_against_transformers_races_the_same_tokens(capsys):
    arguments = [
        "bench",
        "--peer",
        "transformers",
        "--cache",
        "dynamic",
        "--new-tokens",
        "8",
        "--rounds",
        "2",
        "--json",
    ]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert [line["name"] for line in result["lines"]] == ["dynamic", "transformers"]
    assert result["lines"][1]["ratio"] == 1
    ours, theirs = (line["tokens_per_second"] for line in result["lines"])
    assert ours > 0 < theirs
    assert result["versus"] == "transformers"
    assert main([*arguments[:-1], "--new-tokens", "4"]) == 0
    assert "transformers" in capsys.readouterr().out


def test_memory_needs_no_torch():
    """Nor numpy: it is arithmetic alone."""
    check = "import sys; from minigpt.__main__ import main\nmain(['memory', 'gemma-3-27b', '--fits', '24GiB'])\n"
    result = python("-c", check + "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)")
    assert result.returncode == 0, result.stderr
    assert "507,904 bytes a token" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("gpt2 --context 1024", ["36,864 bytes a token", "37,748,736", "36.0 MiB"]),
        (
            "llama-3-8b --context 131072 --bits 4",
            ["131,072 bytes a token", "16.0 GiB", "4.5 GiB", "more than the 8,192"],
        ),
        ("gemma-3-27b", ["507,904 bytes a token", "a token adds 81,920 bytes", "131,072 tokens"]),
        ("deepseek-v3", ["1 x 512 (latent) and 1 x 64 (rotary key)", "70,272 bytes a token"]),
        ("mistral-7b --fits 512MiB --batch 2", ["2 rows of 32,768 tokens", "1.0 GiB", "longest context", "2,048"]),
        ("mistral-7b --fits 512MiB", ["any"]),
    ],
)
def test_memory_tells_the_bytes_of_real_models(arguments, says, capsys):
    assert main(["memory", *arguments.split()]) == 0
    out = capsys.readouterr().out
    for words in says:
        assert words in out


def test_memory_as_json_says_the_same(capsys):
    assert main(["memory", "gemma-3-27b", "--context", "4096", "--bits", "4", "--fits", "2.5GB", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["model"], result["context"], result["batch"], result["memory"]) == (
        "gemma-3-27b",
        4096,
        1,
        25 * 10**8,
    )
    assert (result["nbytes_per_token"], result["nbytes_per_token_past_window"]) == (507_904, 81_920)
    assert (result["layers"], result["layers_with_window"], result["window"]) == (62, 52, 1024)
    lines = {line["cache"]: line for line in result["caches"]}
    assert list(lines) == [name for name in CACHES if name != "none"]
    assert lines["concat"]["nbytes"] == 4096 * 507_904
    assert lines["sliding_window"]["nbytes"] == 4096 * 81_920 + 1024 * (507_904 - 81_920)
    assert lines["concat"]["longest_context"] == 25 * 10**8 // 507_904
    assert lines["quantized"]["bits"] == 4


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("24GiB", 24 * 2**30),
        ("24GB", 24 * 10**9),
        ("1.5 KiB", 1536),
        ("3MB", 3 * 10**6),
        ("2TiB", 2**41),
        ("0.1GiB", 107374182),
        ("9B", 9),
    ],
)
def test_memory_knows_gib_from_gb(text, nbytes, capsys):
    assert main(["memory", "gpt2", "--fits", text, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"] == nbytes


def test_memory_asks_for_a_context_where_the_config_has_none(tmp_path, capsys):
    config = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["memory", str(tmp_path)]) == 2
    assert "give --context N" in capsys.readouterr().err
    assert main(["memory", str(tmp_path), "--context", "10"]) == 0
    assert f"{2 * 2 * 2 * 8 * 2} bytes a token" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_memory_draws_a_chart_and_prints_its_table_all_the_same(kind, tmp_path, capsys):
    file = tmp_path / f"chart.{kind}"
    assert main(["memory", "gpt2", "--chart", str(file)]) == 0
    assert "36,864 bytes a token" in capsys.readouterr().out
    assert file.stat().st_size > 5000


BAD = {
    "an unknown command": (["compute"], "invalid choice: 'compute'"),
    "an unknown cache": (["--cache", "dynamite"], "no cache is named dynamite; there are none, concat"),
    "no new tokens": (["--new-tokens", "0"], "must be a whole number, 1 or more, got 0"),
    "a model that is not there": (["--model", "./nowhere"], "./nowhere: no such folder"),
    "an empty prompt": (["--prompt", ""], "the prompt is empty"),
    "more than the context": (["--new-tokens", "5000"], "the context is 512: max_new_tokens can be"),
    "a dtype that is none": (["--dtype", "int8"], "invalid choice: 'int8'"),
    "a draw without sampling": (["generate", "x", "--temperature", "2"], "add do_sample=True"),
    "a text to train on that is not there": (["train", "--data", "nowhere.txt"], "nowhere.txt"),
    "a prompt that is not text": (["--prompt", "\udcff"], "the prompt is not UTF-8 text"),
    "a seed for no draw": (["--greedy", "--seed", "3"], "not allowed with argument"),
    "a number in words": (["--new-tokens", "ten"], "must be a whole number, 1 or more, got ten"),
    "a model that no one knows": (["memory", "gpt9"], "nor a model known by name; these are: recall, gpt2, gpt2-xl"),
    "a size without its unit": (["memory", "gpt2", "--fits", "24"], "must be a size with its unit, as 24GiB"),
    "a size in bits": (["memory", "gpt2", "--fits", "24Gb"], "got 24Gb"),
    "a size of nothing": (["memory", "gpt2", "--fits", "0GiB"], "got 0GiB"),
    "bits that there are not": (["memory", "gpt2", "--bits", "3"], "invalid choice: 3"),
    "a chart of another kind": (["memory", "gpt2", "--chart", "x.pdf"], "draws a .svg or a .png, got x.pdf"),
    "a device that is not there": (["--device", "warp"], "warp"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_use_is_one_clear_line_and_exit_code_2(what, capsys):
    arguments, message = BAD[what]
    try:
        code = main(arguments)
    except SystemExit as stopped:  # argparse's own way
        code = stopped.code
    out = capsys.readouterr()
    assert code == 2
    assert message in out.err
    assert "Traceback" not in out.err
    assert out.out == ""


def test_a_model_without_a_tokenizer_is_told_by_its_file(tmp_path, capsys):
    GPT(GPTConfig(vocab_size=9, context=8, n_layer=1, n_head=1, n_embd=8)).save_pretrained(tmp_path)
    assert main(["--model", str(tmp_path)]) == 2
    assert "tokenizer.json: no such file" in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(GPT, "hidden", interrupted)
    assert main([]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_it_runs_as_a_module_from_another_folder_without_a_network(tmp_path):
    home = os.path.dirname(os.path.dirname(minigpt.__file__))
    environment = dict(os.environ, PYTHONPATH=home, HF_HUB_OFFLINE="1", HTTPS_PROXY="http://127.0.0.1:9")
    result = python("-m", "minigpt", "--new-tokens", "3", cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    home = os.path.dirname(os.path.dirname(minigpt.__file__))
    command = [sys.executable, "-m", "minigpt", "--new-tokens", "3"]
    process = subprocess.Popen(
        command, env=dict(os.environ, PYTHONPATH=home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 0


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'GTP'"):
        _ = minigpt.GTP
