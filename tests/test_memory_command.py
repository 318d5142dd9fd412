"""`python -m minigpt memory`: several models, its forms of output, and the sizes that it is told."""

import csv
import io
import json
import os

import pytest

from minigpt.__main__ import main
from minigpt.commands.memory import FIELDS

GIB = 2**30
THREE = ["llama-3-8b", "mistral-7b", "deepseek-v3"]


def told(capsys, *arguments) -> str:
    assert main(["memory", *arguments]) == 0
    return capsys.readouterr().out


def lines_of_csv(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("more", [[], ["--fits", "24GiB", "--weights", "16GB"]])
def test_json_has_the_fields_that_are_listed_and_no_others(more, capsys):
    for name in (*THREE, "recall"):
        result = json.loads(told(capsys, name, "--json", *more))
        assert list(result) == list(FIELDS)
        for line in result["caches"]:
            assert list(line) == list(FIELDS["caches"][1])


def test_several_models_are_a_list_of_what_each_would_be(capsys):
    arguments = ["--context", "32k", "--fits", "24GiB", "--json"]
    together = json.loads(told(capsys, *THREE, *arguments))
    assert together == [json.loads(told(capsys, name, *arguments)) for name in THREE]


def test_several_models_stand_side_by_side(capsys):
    out = told(capsys, "llama-3-8b", "mistral-7b", "--context", "32k", "--fits", "24GiB")
    rows = [line.split() for line in out.splitlines()]
    assert ["bytes", "held", "llama-3-8b", "mistral-7b"] in rows
    assert ["concat", "4.0", "GiB", "4.0", "GiB"] in rows
    assert ["sliding_window", "512.0", "MiB"] in rows  # only one of them has a window
    assert ["concat", "4.1", "GiB", "4.1", "GiB"] in rows  # at the peak
    assert ["static", "196,608", "196,608"] in rows
    assert ["sliding_window", "any"] in rows


def test_only_columns_that_are_there_are_explained(capsys):
    one, several = (told(capsys, *models) for models in (["gpt2"], ["gpt2", "gpt2-xl"]))
    assert "A token more adds:" in one
    assert "longer context" not in several.lower()
    for out in (one, several):
        assert "Exact numbers: --csv, --json." in out


def test_without_a_context_several_models_are_asked_about_what_each_can_read(capsys):
    assert {each["context"] for each in json.loads(told(capsys, *THREE, "--json"))} == {8192}


def test_two_files_of_one_name_are_told_apart(tmp_path, capsys):
    for folder in ("a", "b"):
        (tmp_path / folder / "model").mkdir(parents=True)
        keys = {"model_type": "llama", "num_hidden_layers": 2}
        (tmp_path / folder / "model" / "config.json").write_text(json.dumps(keys), encoding="utf-8")
    paths = [str(tmp_path / folder / "model") for folder in ("a", "b")]
    heads = told(capsys, *paths).split("bytes held")[1].splitlines()[0].split()
    assert heads == paths
    assert told(capsys, paths[0], "gpt2").split("bytes held")[1].splitlines()[0].split() == ["model", "gpt2"]


@pytest.mark.parametrize("arguments", [["gemma-3-27b", "--fits", "80GB", "--weights", "54GB"], THREE, ["gpt2"]])
def test_80_columns_are_enough(arguments, capsys):
    assert max(map(len, told(capsys, *arguments).splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "tokens"), [("128k", 131_072), ("32K", 32_768), ("1m", 1_048_576), ("4096", 4096), ("10M", 10 * 1024**2)]
)
def test_a_k_of_tokens_is_1024(text, tokens, capsys):
    assert json.loads(told(capsys, "gpt2", "--context", text, "--json"))["context"] == tokens


def test_weights_are_taken_from_the_memory(capsys):
    arguments = ["llama-3-8b", "--json", "--fits"]
    beside = json.loads(told(capsys, *arguments, "24GiB", "--weights", "16GiB"))
    alone = json.loads(told(capsys, *arguments, "8GiB"))
    assert (beside["memory"], beside["weights"], alone["weights"]) == (24 * GIB, 16 * GIB, 0)
    assert beside["caches"] == alone["caches"]
    for weights in ("24GiB", "30GiB"):
        nothing = json.loads(told(capsys, *arguments, "24GiB", "--weights", weights))
        assert {line["longest_context"] for line in nothing["caches"]} == {0}
    words = " ".join(told(capsys, "gpt2", "--fits", "1GB", "--weights", "2GB").split())
    assert "Of 953.7 MiB its weights take 1.9 GiB, which leaves 0 bytes for the cache." in words


def test_each_model_has_weights_of_its_own(capsys):
    arguments = ["llama-3-8b", "gpt2", "--json", "--fits", "24GiB", "--weights", "16GiB", "1GiB"]
    assert [each["weights"] for each in json.loads(told(capsys, *arguments))] == [16 * GIB, GIB]


def test_csv_has_a_line_for_each_cache_in_plain_numbers(capsys):
    arguments = [*THREE, "--context", "128k", "--fits", "24GiB"]
    lines = lines_of_csv(told(capsys, *arguments, "--csv"))
    expected = [
        {"model": result["model"], "context": result["context"], "batch": 1, **line}
        for result in json.loads(told(capsys, *arguments, "--json"))
        for line in result["caches"]
    ]
    assert lines == [{key: "" if value is None else str(value) for key, value in line.items()} for line in expected]
    heads, line, *_ = told(capsys, "llama-3-8b", "--context", "32k", "--fits", "8GiB", "--csv").splitlines()
    assert heads == (
        "model,context,batch,cache,bits,nbytes,nbytes_peak,nbytes_below,nbytes_of_next_token,longest_context"
    )
    assert line == "llama-3-8b,32768,1,concat,16,4294967296,4429180928,0,131072,63550"


def test_markdown_has_tables_of_as_many_cells_in_each_row(capsys):
    for arguments in (["gemma-3-27b", "--fits", "24GiB"], THREE):
        out = told(capsys, *arguments, "--markdown")
        blocks = [block.splitlines() for block in out.split("\n\n") if block.startswith("|")]
        assert len(blocks) == (1 if len(arguments) == 3 and "--fits" in arguments else 2)
        for heads, aligned, *rows in blocks:
            assert aligned.startswith("| --- | ---: |")
            assert {line.count("|") for line in (heads, aligned, *rows)} == {heads.count("|")}
        assert "\\* A prompt stays exact" in out


@pytest.mark.skipif(os.name == "nt", reason="a name has no | there")
def test_a_name_with_a_bar_is_one_cell_in_markdown(tmp_path, capsys):
    (tmp_path / "a|b").mkdir()
    (tmp_path / "a|b" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    lines = told(capsys, str(tmp_path / "a|b"), "gpt2", "--markdown").splitlines()
    assert "| bytes held | a\\|b | gpt2 |" in lines


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gpt2", "--context", "128x"], "must be tokens, 1 or more, as 4096 or 128k (131,072), got 128x"),
        (["gpt2", "--context", "0k"], "must be tokens, 1 or more"),
        (["gpt2", "--weights", "1GB"], "give --fits SIZE as well"),
        (["gpt2", "gpt2-xl", "--fits", "1GB", "--weights", "1GB"], "one SIZE for each MODEL, got 1 for 2"),
        (["gpt2", "--json", "--csv"], "choose one"),
        (["gpt2", "gpt2-xl", "--chart", "a.svg"], "--chart draws one model, got gpt2, gpt2-xl: call it for each"),
        ([], "the following arguments are required: MODEL"),
    ],
)
def test_what_can_not_be_told_is_refused(arguments, says, capsys):
    assert ended(["memory", *arguments]) == 2
    assert says in capsys.readouterr().err


def ended(arguments: list[str]) -> int:
    """The exit code, also where argparse ends the process."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code
