"""The command line, as a user meets it: what it prints, where, and its exit codes."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import minigpt
from minigpt.__main__ import main
from minigpt.cache import CACHES, DynamicCache
from minigpt.commands.opening import workers
from minigpt.commands.out import check_file, check_folder
from minigpt.commands.parser import COMMANDS, parse
from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer
from minigpt.recall.corpus import held_out, train_tokenizer
from minigpt.recall.exam import bits_per_byte
from minigpt.show.program import program

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


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
        keys, values, positions = kept(self, k, v, layer)
        return keys * (torch.arange(keys.shape[1]) > 3)[:, None, None], values, positions

    kept = DynamicCache.store
    monkeypatch.setattr(DynamicCache, "store", forgetful)
    arguments = ["--new-tokens", "20", "--cache", "dynamic", "static"]
    assert main([*arguments, "--json"]) == 1
    lines = {line["cache"]: line for line in json.loads(capsys.readouterr().out)["caches"]}
    assert not lines["dynamic"]["tokens_equal"]
    assert lines["dynamic"]["first_difference"] is not None
    assert lines["dynamic"]["largest_logit_difference"] > 0.1
    assert lines["static"]["tokens_equal"]
    assert main(arguments) == 1
    table = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["dynamic", str(lines["dynamic"]["first_difference"])] in table
    assert ["static", "20"] in table


def test_generate_streams_the_text_that_generate_makes(capsys):
    prompt = "ROMEO.\nShall I"
    assert main(["generate", prompt, "--new-tokens", "20"]) == 0
    streamed = capsys.readouterr().out
    assert main(["generate", prompt, "--new-tokens", "20", "--cache", "none"]) == 0
    assert capsys.readouterr().out == streamed
    assert streamed.startswith(prompt)
    assert len(streamed) > len(prompt) + 10


@pytest.mark.parametrize("command", ["compare", "generate", "race", "bench"])
def test_new_tokens_may_be_called_as_in_transformers_and_help_says_so_once(command, capsys):
    prompt = ["x"] if command == "generate" else []
    assert parse([command, *prompt, "--max-new-tokens", "7"]).new_tokens == 7
    assert parse([command, *prompt, "--new-tokens", "7"]).new_tokens == 7
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert capsys.readouterr().out.count("--new-tokens N, --max-new-tokens N") == 1


def test_generate_draws_repeatably(capsys):
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["generate", "HAMLET.\n", "--new-tokens", "30", "--do-sample", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_bench_against_transformers_races_the_same_tokens(capsys):
    arguments = ["bench", "--peer", "transformers", "--cache", "dynamic", "--new-tokens", "8", "--rounds", "2"]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["versus"] == ["transformers"]
    dynamic, transformers = result["cells"][0]["lines"]
    assert (dynamic["name"], transformers["name"]) == ("dynamic", "transformers")
    assert all(line["tokens"] == line["tokens_as_uncached"] == 8 for line in (dynamic, transformers))
    assert [time["of"] for time in transformers["times"]] == ["first_token", "token"]
    assert all(ratio["ratio"] == 1 for time in transformers["times"] for ratio in time["ratios"])
    assert all(line["times"][1]["seconds"] > 0 for line in (dynamic, transformers))
    assert main([*arguments, "--new-tokens", "4", "--batch", "1,2", "--versus", "transformers", "dynamic"]) == 0
    told = capsys.readouterr().out
    assert "transformers" in told
    assert "2 rows, 64 tokens of prompt, 4 new" in told
    assert max(map(len, told.splitlines()[:-1])) <= 80


def test_memory_needs_no_torch():
    """Nor numpy: it is arithmetic alone."""
    check = "import sys; from minigpt.__main__ import main\nmain(['memory', 'gemma-3-27b', '--fits', '24GiB'])\n"
    result = python("-c", check + "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)")
    assert result.returncode == 0, result.stderr
    assert "507,904 bytes a token" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("gpt2 --context 1024", ["36,864 bytes a token", "36.0 MiB"]),
        (
            "llama-3-8b --context 131072 --bits 4",
            ["131,072 bytes a token", "16.0 GiB", "4.5 GiB", "more than the 8,192"],
        ),
        ("gemma-3-27b", ["507,904 bytes a token", "a token adds 81,920 bytes", "131,072 tokens"]),
        ("deepseek-v3", ["1 x 512 (latent) and 1 x 64 (rotary key)", "70,272 bytes a token"]),
        ("mistral-7b --fits 512MiB --batch 2", ["2 rows of 32,768 tokens", "1.0 GiB", "in 512.0 MiB", "2,048"]),
        ("mistral-7b --fits 512MiB", ["any"]),
    ],
)
def test_memory_tells_the_bytes_of_real_models(arguments, says, capsys):
    assert main(["memory", *arguments.split()]) == 0
    out = " ".join(capsys.readouterr().out.split())
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
    assert lines.keys() == CACHES.keys() - {"none"}
    assert lines["concat"]["nbytes"] == 4096 * 507_904
    assert lines["sliding_window"]["nbytes"] == 4096 * 81_920 + 1024 * (507_904 - 81_920)
    layer = 507_904 // 62  # of the old tokens' bytes, one layer's are there twice while it grows
    assert lines["concat"]["nbytes_peak"] == 4096 * 507_904 + 4095 * layer
    assert lines["concat"]["longest_context"] == (25 * 10**8 + layer) // (507_904 + layer)
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
    assert f"{2 * 2 * 2 * 8 * 2} bytes a token" in " ".join(capsys.readouterr().out.split())


def test_memory_answers_up_to_its_limits(tmp_path, capsys):
    largest = ["--context", f"{10**15}", "--batch", f"{10**15}", "--fits", f"{2**80}B"]
    assert main(["memory", "gpt2", *largest, "--csv", "--chart", str(tmp_path / "chart.svg")]) == 0
    assert f"concat,16,{10**30 * 36_864}," in capsys.readouterr().out
    config = {"num_hidden_layers": 10_000, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["memory", str(tmp_path), *largest]) == 0
    assert "10000 layers" in " ".join(capsys.readouterr().out.split())


def test_memory_draws_a_chart_into_a_folder_that_is_not_there_yet(tmp_path):
    assert main(["memory", "gpt2", "--chart", str(tmp_path / "new" / "chart.svg")]) == 0
    assert (tmp_path / "new" / "chart.svg").stat().st_size > 5000


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_memory_draws_a_chart_and_prints_its_table_all_the_same(kind, tmp_path, capsys):
    file = tmp_path / f"chart.{kind}"
    assert main(["memory", "gpt2", "--chart", str(file)]) == 0
    assert "36,864 bytes a token" in " ".join(capsys.readouterr().out.split())
    assert file.stat().st_size > 5000


BAD = {
    "an unknown command": (["fly"], "no command is named fly; there are compare, generate, race, recall"),
    "a command misspelt": (["comprae"], "no command is named comprae: did you mean compare?"),
    "an unknown argument": (["race", "--json"], "minigpt race: error: race takes no --json"),
    "an unknown argument of the main job": (["--nope"], "minigpt compare: error: compare takes no --nope (python"),
    "an argument misspelt": (["bench", "--roundz"], "bench takes no --roundz: did you mean --rounds?"),
    "no new tokens by the name that transformers has": (
        ["generate", "x", "--max-new-tokens", "0"],
        "argument --new-tokens/--max-new-tokens: must be a whole number, 1 or more, got 0",
    ),
    "a command that would colour the terminal": (["\x1b[31m"], r"no command is named \x1b[31m; there are"),
    "a text too many": (["generate", "To be", "or not"], "generate takes no or not"),
    "no text": (["generate"], "the following arguments are required: prompt"),
    "an unknown cache": (["--cache", "dynamite"], "no cache is named dynamite; there are none, concat"),
    "an unknown cache where one is wanted": (["recall", "--cache", "dynamite"], "no cache is named dynamite; there"),
    "caches with commas": (["--cache", "dynamic,static"], "with spaces between several"),
    "two caches where one is wanted": (["recall", "--cache", "static", "dynamic"], "recall takes no dynamic"),
    "a race without a cache": (["race", "--cache", "none"], "name a cache that keeps something"),
    "questions below zero": (["--questions", "-1"], "argument --questions: must be a whole number, 0 to 10000, got -1"),
    "more questions than can be written": (
        ["recall", "--questions", "9" * 20],
        "argument --questions: must be a whole number, 1 to 10000, got 999",
    ),
    "no questions where they are all": (["recall", "--questions", "0"], "must be a whole number, 1 to 10000, got 0"),
    "no questions to record": (["quality", "--questions", "0"], "must be a whole number, 1 to 10000, got 0"),
    "no rounds": (["bench", "--rounds", "0"], "argument --rounds: must be a whole number, 1 or more, got 0"),
    "sinks without a window": (["--sinks", "4"], "--sinks 4 are kept beside a window: add --window N"),
    "streaming without a window": (["--streaming"], "--streaming counts positions within a window: add --window N"),
    "streaming of a GPT": (["--streaming", "--window", "8"], "streaming wants rotary positions, as a Llama's"),
    "sinks below zero": (["--sinks", "-4", "--window", "8"], "must be a whole number, 0 or more, got -4"),
    "a negative temperature": (["generate", "x", "--do-sample", "--temperature", "-1"], "a number above 0, got -1"),
    "a temperature of nan": (["generate", "x", "--do-sample", "--temperature", "nan"], "a number above 0, got nan"),
    "a temperature of inf": (["generate", "x", "--do-sample", "--temperature", "inf"], "a number above 0, got inf"),
    "a temperature in words": (["generate", "x", "--temperature", "hot"], "must be a number above 0, got hot"),
    "a nucleus above 1": (["generate", "x", "--top-p", "2"], "must be a number above 0, 1 at most, got 2"),
    "fewer likeliest tokens than none": (
        ["generate", "x", "--top-k", "-1"],
        "argument --top-k: must be a whole number, 0 or more, got -1",
    ),
    "a folder to train on": (["train", "--data", "."], ".: a folder: name a UTF-8 text"),
    "no new tokens": (["--new-tokens", "0"], "must be a whole number, 1 or more, got 0"),
    "a model that is not there": (["--model", "./nowhere"], "./nowhere: no such folder"),
    "an empty prompt": (["--prompt", ""], "the prompt is empty"),
    "more than the context": (["--new-tokens", "5000"], "the context is 512: --new-tokens can be"),
    "a dtype that is none": (["--dtype", "int8"], "invalid choice: 'int8'"),
    "a draw without sampling": (["generate", "x", "--temperature", "2"], "for drawing only, so add --do-sample"),
    "beams that are drawn": (
        ["generate", "x", "--num-beams", "4", "--do-sample"],
        "--num-beams searches: leave out --do-sample",
    ),
    "beams with a temperature": (
        ["generate", "x", "--num-beams", "4", "--temperature", "0.7"],
        "--num-beams searches: leave out --temperature",
    ),
    "beams with all of a draw": (
        ["generate", "x", "--num-beams", "4", "--do-sample", "--temperature", "0.7", "--seed", "1"],
        "--num-beams searches: leave out --do-sample, --temperature, --seed",
    ),
    "a text to train on that is not there": (["train", "--data", "nowhere.txt"], "nowhere.txt: no such file: name a"),
    "a prompt that is not text": (["--prompt", "\udcff"], "the prompt is not UTF-8 text"),
    "a seed for no draw": (["--greedy", "--seed", "3"], "not allowed with argument"),
    "a number in words": (["--new-tokens", "ten"], "must be a whole number, 1 or more, got ten"),
    "a model that no one knows": (
        ["memory", "gpt9"],
        "nor a model known by name; these are: recall, deepseek-v3, gemma-3-27b",
    ),
    "a size without its unit": (["memory", "gpt2", "--fits", "24"], "must be a size with its unit, as 24GiB"),
    "a size in bits": (["memory", "gpt2", "--fits", "24Gb"], "got 24Gb"),
    "a size of 40 digits": (
        ["memory", "gpt2", "--fits", "9" * 40 + "B"],
        "must be 1,099,511,627,776 TiB at most",
    ),
    "a context of 30 digits": (
        ["memory", "gpt2", "--context", "9" * 30],
        "a context and a batch of 1,000,000,000",
    ),
    "a chart of as many": (
        ["memory", "gpt2", "--context", "9" * 30, "--chart", "x.svg"],
        "at most can be counted, got 999",
    ),
    "as many rows": (["memory", "gpt2", "--batch", "9" * 30], "at most can be counted, got 1,024 and 999,999"),
    "a device for a config": (["memory", "/dev/zero"], "/dev/zero: must be a regular file"),
    "a size of nothing": (["memory", "gpt2", "--fits", "0GiB"], "got 0GiB"),
    "bits that there are not": (["memory", "gpt2", "--bits", "3"], "invalid choice: 3"),
    "a model that was not fetched yet": (["memory", "smollm2"], "the command `fetch smollm2` makes it"),
    "a chart in a folder that can't be": (["memory", "gpt2", "--chart", "/dev/null/x.svg"], "can't be written in"),
    "dtypes that end in a comma": (
        ["bench", "--dtype", "float32,"],
        "must be of float32, float64, bfloat16, float16, with commas between, got 'float32,'",
    ),
    "more beams than half the vocabulary": (
        ["generate", "x", "--num-beams", "513"],
        "num_beams 513: with a vocabulary",
    ),
    "bugs measured into a folder": (["bugs", "--measure", "."], ". is a folder: name a file"),
    "a chart of another kind": (["memory", "gpt2", "--chart", "x.pdf"], "draws a .svg or a .png, got x.pdf"),
    "a device that is not there": (["--device", "warp"], "warp"),
    "a device that no library brings": (["--device", "hpu"], "device hpu can't be used"),
    "a device of nobody": (["--device", "privateuseone"], "device privateuseone can't be used"),
    "new tokens past 64 bits": (
        ["--new-tokens", str(2**63)],
        "--new-tokens can be 441 at most, got 9223372036854775808",
    ),
    "new tokens past reason": (["generate", "x", "--new-tokens", "9" * 40], "--new-tokens can be 512 at most"),
    "more threads than a system gives": (["--threads", "100000"], "argument --threads: must be"),
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


@pytest.mark.parametrize("command", ["compare", "race", "recall", "quality", "train"])
@pytest.mark.parametrize("seed", ["-1", "x", str(2**63)])
def test_a_seed_is_a_number_that_torch_and_numpy_take(command, seed, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([command, "--seed", seed])
    assert f"argument --seed: must be a whole number, 0 to {2**63 - 1}, got {seed}" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_argument_prints_its_own_commands_usage_and_where_more_is_told(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([command, "gpt2", "--nope"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"usage: python -m minigpt {command} [-h]")
    assert err.splitlines()[-1].endswith(f"(python -m minigpt {command} --help tells more)")


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("/usr/lib/python3/site-packages/minigpt/__main__.py", "python -m minigpt"),
        ("/home/me/.local/bin/minigpt", "minigpt"),
        ("minigpt.exe", "minigpt"),
    ],
)
def test_it_calls_itself_as_it_was_called(called, name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [called])
    assert program() == name
    with pytest.raises(SystemExit, match="2"):
        main(["race", "--nope"])
    usage, *_, error = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: {name} race [-h]")
    assert error.startswith(f"{name} race: error: ")
    assert error.endswith(f"({name} race --help tells more)")
    assert main(["--questions", "1", "--new-tokens", "1", "--cache", "sliding_window"]) == 0
    assert f"Few, to be quick: {name} quality asks more" in capsys.readouterr().out


def test_nothing_but_docstrings_and_files_that_it_writes_says_python_m_minigpt_by_hand():
    """What it prints asks how it was called."""
    package = Path(minigpt.__file__).parent
    written = {"show/plots/all.py", "lecture/opening.py", "show/program.py", "show/tables/prove.py"}
    for path in package.rglob("*.py"):
        if path.relative_to(package).as_posix() in written:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docstrings:
                assert "python -m minigpt" not in node.value, f"{path}:{node.lineno}"


def test_no_questions_take_no_time_and_leave_no_table(monkeypatch, capsys):
    def asked(*_, **__):
        raise AssertionError("the exam was sat")

    monkeypatch.setattr("minigpt.measure.quality.quick_scores.held_out", asked)
    monkeypatch.setattr("minigpt.measure.quality.scores.reference_of", asked)
    arguments = ["--questions", "0", "--new-tokens", "2", "--cache", "quantized"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "What did it save?" in out
    assert "What is forgotten?" not in out
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == []
    with pytest.raises(AssertionError, match="the exam was sat"):
        main(["--questions", "1", *arguments[2:]])


@pytest.mark.parametrize(
    ("of_the_command_line", "of_torch", "cpus", "side_by_side"),
    [(None, 1, 8, 8), (None, 8, 8, 1), (None, 4, 2, 1), (None, 1, None, 1), (1, 1, 8, 1), (3, 3, 8, 1)],
)
def test_exams_side_by_side_take_the_threads_that_were_allowed(
    of_the_command_line, of_torch, cpus, side_by_side, monkeypatch
):
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    monkeypatch.setattr("torch.get_num_threads", lambda: of_torch)
    assert workers(Namespace(threads=of_the_command_line)) == side_by_side


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "--rounds", "1", "--new-tokens", "2"],
        ["recall", "--questions", "1", "--cache", "offloaded_static"],
    ],
    ids=lambda words: words[0],
)
def test_tables_are_80_columns_wide_at_most(arguments, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    main(arguments)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_80_columns_wide_at_most(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "sizes"),
    [
        ("recall", {"vocab_size": 1024, "context": 503}),
        ("quality", {"vocab_size": 1024, "context": 503}),
    ],
)
def test_a_model_that_can_not_read_the_questions_is_told_so(command, sizes, tmp_path, capsys):
    GPT(GPTConfig(**sizes, n_layer=1, n_head=1, n_embd=8)).save_pretrained(tmp_path)
    assert main([command, "--model", str(tmp_path)]) == 2
    assert "memory questions are 504 tokens of a vocabulary of 1024, and this model has" in capsys.readouterr().err


def test_recall_asks_a_model_about_the_text_that_was_held_out_when_it_was_made(tmp_path, capsys):
    model, play = GPT.from_pretrained("recall"), held_out()
    model.save_pretrained(tmp_path)
    start = replace(play, ids=play.ids[:1300])
    start.save(tmp_path / "held_out.safetensors")
    assert main(["recall", "--model", str(tmp_path), "--questions", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bits_per_byte"] == bits_per_byte(model, text=start)
    assert bits_per_byte(model, text=start) != bits_per_byte(model)


def test_a_file_in_the_place_of_a_model_is_told(file, capsys):
    assert main(["--model", str(file)]) == 2
    assert f"{file} is a file: name the folder that it is in" in capsys.readouterr().err


def test_what_the_hub_says_is_one_line(monkeypatch, capsys):
    def no_hub(*_, **__):
        raise OSError("no network\nA long explanation\nof several lines")

    monkeypatch.setattr("huggingface_hub.snapshot_download", no_hub)
    assert main(["--model", "nobody"]) == 2
    assert capsys.readouterr().err.endswith("and the hub did not give it (no network)\n")
    monkeypatch.setattr("minigpt.fetch.smollm2.packaged", lambda: None)
    assert main(["fetch", "smollm2", "--out", "not-there-yet"]) == 2
    assert capsys.readouterr().err.endswith("the hub did not give HuggingFaceTB/SmolLM2-135M-Instruct (no network)\n")


def test_a_model_without_a_tokenizer_is_told_by_its_file(tmp_path, capsys):
    GPT(GPTConfig(vocab_size=9, context=8, n_layer=1, n_head=1, n_embd=8)).save_pretrained(tmp_path)
    assert main(["--model", str(tmp_path)]) == 2
    assert "tokenizer.json: no such file" in capsys.readouterr().err


def test_an_interrupt_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(GPT, "hidden", interrupted)
    assert main([]) == 130
    assert "interrupted" in capsys.readouterr().err


# The process of `python -m minigpt`, which says when our first line has run: before, an interrupt is Python's own.
PROCESS = """
import signal
import minigpt.__main__ as process
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests' own process was started with
main = process.main
process.main = lambda: print("started", flush=True) or main()
process.run()
"""


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.1, 0.25, 0.5, 1.0, 1.6, 2.5])
def test_ctrl_c_at_any_moment_is_exit_code_130_and_one_word(seconds):
    """While it imports, computes and prints."""
    command = [sys.executable, "-c", PROCESS, "compare", "--new-tokens", "300", "--cache", "dynamic", "quantized"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) in [(130, "interrupted\n"), (0, "")]  # 0: all had been done
    assert process.returncode == 130 or seconds > 0.3


def test_ctrl_c_is_ignored_where_the_shell_said_so():
    """Behind a script's `&`: it is meant for what runs in the foreground."""
    code = "import signal, minigpt.__main__\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(flush=True)\n"
    command = [sys.executable, "-c", code + "minigpt.__main__.run()", "memory", "gpt2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "36,864 bytes a token" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--cache", "dynamic", "--new-tokens", "3", "--questions", "1"], 0),
        (["--cache", "dynamite"], 2),
        (["--new-tokens", "no"], 2),
    ],
)
def test_a_closed_stderr_changes_no_exit_code_and_nothing_on_stdout(arguments, code):
    command = [sys.executable, "-m", "minigpt", *arguments]
    result = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, check=False)
    assert result.returncode == code
    assert (result.stdout == b"") == (code != 0)


def test_a_full_disk_is_told(tmp_path):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "minigpt", "memory", "gpt2", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [["generate"], ["compare", "--cache", "dynamic", "--questions", "1", "--prompt"]],
    ids=lambda words: words[0],
)
def test_no_control_character_reaches_the_terminal(command, capsys):
    prompt = "ROMEO.\n\tRed \x1b[31m, bell \x07, return \r, delete \x7f, C1 \x9b."
    assert main([*command, prompt, "--new-tokens", "4"]) == 0
    out = capsys.readouterr().out
    assert r"Red \x1b[31m, bell \x07, return \x0d, delete \x7f, C1 \x9b." in out
    assert re.match(r"ROMEO.\n(\t| +)Red", out), "newline and tab stay (rich writes a tab as spaces)"
    assert not {character for character in out if not character.isprintable()} - set("\n\t")


def test_control_characters_that_a_model_generates_are_shown_too(monkeypatch, capsys):
    """Here every new token is the byte of ESC."""
    (escape,) = load_tokenizer("recall").encode("\x1b").ids

    def only_escape(self, x):
        return torch.nn.functional.one_hot(torch.full(x.shape[:-1], escape), self.config.vocab_size).to(x)

    monkeypatch.setattr(GPT, "lm_head", only_escape)
    for command in (["generate"], ["compare", "--greedy", "--cache", "dynamic", "--questions", "1", "--prompt"]):
        main([*command, "x", "--new-tokens", "3"])
        assert capsys.readouterr().out.startswith(r"x\x1b\x1b\x1b")


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    return tmp_path / "file"


@pytest.mark.parametrize("command", ["quality", "train", "figures"])
def test_an_out_that_can_not_be_written_is_told_before_any_work(command, file, capsys):
    assert main([command, "--out", str(file / "under" / "it")]) == 2
    assert f"can't be written in ({file}: Not a directory): name another place" in capsys.readouterr().err


def test_a_folder_in_the_place_of_a_file_is_told_before_any_work(tmp_path, capsys):
    assert main(["quality", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path} is a folder: name a file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_looking_whether_it_can_be_written_leaves_nothing_behind(file):
    check_file(file)
    check_file(file.parent / "new" / "folder" / "file")
    check_folder(file.parent / "new" / "folder")
    assert list(file.parent.iterdir()) == [file]
    assert file.read_text(encoding="utf-8") == "a file"


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"PK" * 99)])
def test_a_damaged_checkpoint_is_one_clear_line(damage, tmp_path, capsys):
    (tmp_path / "text.txt").write_text("To be, or not to be\n" * 50, encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    train_tokenizer("To be, or not to be\n" * 50).save(str(out / "tokenizer.json"))
    damage(out / "checkpoint.safetensors")
    assert main(["train", "--data", str(tmp_path / "text.txt"), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "checkpoint.safetensors is not a whole checkpoint" in err
    assert "remove it to start afresh" in err


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    home = os.path.dirname(os.path.dirname(minigpt.__file__))
    command = [sys.executable, "-m", "minigpt", "--new-tokens", "3", "--cache", "dynamic"]
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
