"""The tables of recall: what was asked, what each token saw, what the prose was."""

import io

from rich.console import Console

from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.recall.corpus import held_out
from minigpt.show.tables.recall import report, report_plain

SIZES = {"vocab_size": 50, "context": 400, "n_layer": 1, "n_head": 1, "n_embd": 8}


def printed(report, *arguments) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    report(*arguments, console)
    return console.file.getvalue().splitlines()


def test_recall_says_what_was_asked_what_was_right_and_what_a_guess_would_be():
    shares, chance = {50: 1.0, 100: 0.875}, {50: 0.125, 100: 0.2}
    lines = printed(report, "static", GPTConfig(**SIZES), 40, shares, chance, 2.178, 41_865)
    rows = [line.split() for line in lines]
    assert ["1", "to", "50", "100.0%", "12.5%"] in rows
    assert ["51", "to", "100", "87.5%", "20.0%"] in rows
    assert "Read through the cache static: 40 memory questions at each distance" in lines[1]
    assert " ".join(lines[-2:]).endswith("all 41,865 tokens that training held out: 2.178 bits a byte.")
    assert max(map(len, lines)) <= 80


def test_recall_in_plain_english_says_what_was_asked_and_what_is_owed_to_the_language():
    shares, unread = {250: 0.75, 500: 0.5}, {250: 0.125, 500: 0.25}
    config = GPTConfig(**SIZES, window=300, sinks=4)
    lines = printed(report_plain, "dynamic", config, 40, shares, unread, 1.625, 4000)
    said = "Read through the cache dynamic, each token seeing the last 300 tokens and the first 4: lines of The Tempest"
    assert " ".join(lines).strip().startswith(said)
    assert [line.split() for line in lines if " to " in line and "%" in line] == [
        ["1", "to", "250", "75.0%", "12.5%"],
        ["251", "to", "500", "50.0%", "25.0%"],
    ]
    assert lines[-1] == "Surprise at 4,000 tokens of The Tempest: 1.625 bits a byte."


def test_the_command_names_the_window_that_a_cache_or_an_option_brings(capsys):
    for arguments, seen in (
        (["--cache", "sliding_window"], ", each token seeing the last 64 tokens and the first 4:"),
        (["--window", "32"], ", each token seeing the last 32 tokens:"),
        ([], " none:"),
    ):
        assert main(["recall", "--questions", "1", *arguments]) == 0
        assert f"{seen} 1 memory questions" in " ".join(capsys.readouterr().out.split())


def test_recall_reads_the_whole_text_and_compare_its_beginning_and_both_say_so(capsys):
    assert main(["recall", "--questions", "1"]) == 0
    assert f"all {len(held_out().ids):,} tokens that training held out: 2.178 bits" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main(["--questions", "1", "--new-tokens", "1", "--cache", "sliding_window"]) == 0
    out = capsys.readouterr().out
    assert "the first 3,072 tokens that training held out" in " ".join(out.split())
    (dynamic,) = (line for line in out.splitlines() if line.startswith("dynamic") and "786,432" in line)
    assert dynamic.endswith("2.161")
