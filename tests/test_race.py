"""A text with a cache and without, side by side: what is counted, and what stands on the terminal."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import random_gpt, random_ids

from minigpt.__main__ import main
from minigpt.cache import CACHES, DynamicCache
from minigpt.config import GPTConfig
from minigpt.measure.counted.run import SINKS, WINDOW
from minigpt.measure.timed.race import Lane, race
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer, model_folder
from minigpt.sampling import greedy
from minigpt.show.race import reason, seen
from minigpt.show.words import in_view


def lanes(new_tokens=20):
    model, ids = random_gpt(), random_ids(1, 5)
    return model, ids, [Lane(model, ids, new_tokens, name, greedy) for name in ("none", "dynamic")]


def test_each_lane_writes_what_generate_writes_and_counts_the_rows_of_the_closed_form():
    model, ids, both = lanes()
    race(both)
    wanted = model.generate(ids, max_new_tokens=20)[0].tolist()
    assert [lane.tokens for lane in both] == [wanted, wanted]
    layers = model.config.n_layer
    assert [lane.rows for lane in both] == [layers * sum(range(5, 25)), layers * 24]
    assert all(lane.done and lane.seconds > 0 for lane in both)


def test_the_lane_whose_clock_is_behind_goes_on():
    """Here a step without a cache takes 3 ticks and one with a cache 1."""
    _, _, both = lanes(new_tokens=6)
    order = []
    for lane, ticks in zip(both, (3, 1), strict=True):

        def step(lane=lane, ticks=ticks):
            order.append(lane.name)
            lane.made, lane.seconds = lane.made + 1, lane.seconds + ticks

        lane.step = step
    race(both)
    assert order[:5] == ["none", "dynamic", "dynamic", "dynamic", "none"]
    assert (order.count("none"), order.count("dynamic")) == (6, 6)


@pytest.mark.parametrize(
    ("window", "sinks", "said"),
    [
        (64, 4, "the last 64 tokens and the first 4"),
        (1, 0, "the last 1 token"),
        (4096, 0, "the last 4,096 tokens"),
        ((None, 6, None), 0, "the last 6 tokens, in 1 of 3 layers"),
        ((6, 3, 6), 2, "the last 3 or 6 tokens and the first 2"),
    ],
)
def test_the_verdict_says_what_a_token_sees_in_a_hybrid_model_too(window, sinks, said):
    config = GPTConfig(vocab_size=9, context=48, n_layer=3, n_head=1, n_embd=8, window=window, sinks=sinks)
    assert seen(Lane(GPT(config).eval(), random_ids(1, 5) % 9, 1, "dynamic", greedy)) == [
        f"what a token sees, without a cache too: {said}"
    ]
    assert in_view(None, 0) == "all tokens"


def test_what_is_done_between_the_steps_is_on_no_clock():
    _, _, both = lanes(new_tokens=3)
    race(both, on_step=lambda lane: time.sleep(0.2))
    assert sum(lane.seconds for lane in both) < 6 * 0.2


PROMPT = "HAMLET.\nTo be"  # 7 tokens


def test_where_there_is_no_terminal_it_prints_plain_lines_and_the_verdict(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["race", "--new-tokens", "40"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    uncached, cached = 3 * sum(range(7, 47)), 3 * 46
    assert f"without a cache: 40 of 40 tokens, {uncached:,} K/V rows, " in out
    assert f"dynamic: 40 of 40 tokens, {cached:,} K/V rows, " in out
    assert out.count("without a cache: ") == out.count("dynamic: ") - 1 == 4
    assert "the same text: yes, 40 tokens\n" in out
    assert f"K/V rows computed: {uncached:,} without a cache, {cached:,} with dynamic: 23 times fewer\n" in out
    assert out.count("\n") == 4 + 4 + 3


def test_no_line_is_wider_than_80_columns_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["race", "--new-tokens", "120", "--cache", max(CACHES, key=len)]) == 0
    out = capsys.readouterr().out
    assert out.count("ms a token") == 8
    assert max(map(len, out.splitlines())) <= 80


def test_another_text_is_told_and_is_exit_code_1(monkeypatch, capsys):
    def forgetful(self, k, v, layer):
        k, v, positions = store(self, k, v, layer)
        return k * (positions != 0)[..., None, None], v, positions

    store = DynamicCache.store
    monkeypatch.setattr(DynamicCache, "store", forgetful)
    assert main(["race", "--new-tokens", "60"]) == 1
    assert "the same text: no, they part at new token " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    {
        "sliding window": (["--cache", "sliding_window"], f"the last {WINDOW} tokens and the first {SINKS}\n"),
        "any cache": (["--window", "9"], "what a token sees, without a cache too: the last 9 tokens\n"),
        "one token": (["--new-tokens", "1"], "the same text: yes, 1 token\n"),
        "of one token": (["--new-tokens", "1"], "without a cache: 1 of 1 token, "),
        "no fewer": (["--new-tokens", "1"], "21 with dynamic: the same\n"),
    }.values(),
)
def test_the_verdict_says_what_both_saw_and_counts_one_token_as_one(arguments, said, capsys):
    assert main(["race", "--new-tokens", "20", *arguments]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "dtype", "said"),
    [
        ("quantized", torch.float32, " (quantized rounds what it keeps)"),
        ("dynamic", torch.bfloat16, " (bfloat16 rounds, and a near tie can flip: see notebook 03)"),
        ("dynamic", torch.float32, ""),
    ],
)
def test_where_the_texts_part_a_reason_is_given_only_if_something_rounds(name, dtype, said):
    lane = Lane(random_gpt().to(dtype), random_ids(1, 5), 1, name, greedy)
    assert reason(lane) == said


BAD = {
    "a cache that no one knows": (["--cache", "dynamite"], "no cache is named dynamite"),
    "no cache": (["--cache", "none"], "name a cache that keeps something"),
    "no tokens": (["--new-tokens", "0"], "must be a whole number, 1 or more, got 0"),
    "more tokens than the context": (["--new-tokens", "600"], "the context is 512: --new-tokens can be 506 at most"),
    "an empty prompt": (["--prompt", ""], "the prompt is empty"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_use_is_told(what, capsys):
    arguments, message = BAD[what]
    try:
        code = main(["race", *arguments])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_model_of_a_short_context_is_told_how_many_tokens_it_can_make(tmp_path, capsys):
    tokenizer = (model_folder("recall") / "tokenizer.json").read_bytes()
    vocabulary = load_tokenizer("recall").get_vocab_size()
    torch.manual_seed(0)
    GPT(GPTConfig(vocab_size=vocabulary, context=32, n_layer=1, n_head=1, n_embd=8)).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    assert main(["race", "--model", str(tmp_path)]) == 2
    assert "the prompt is 7 tokens and the context is 32: --new-tokens can be 26 at most" in capsys.readouterr().err


def on_a_terminal(*arguments, until=None):
    """All that the command writes on a terminal of 100 x 30, and its exit code. until: then it is interrupted."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever the tests' was
    command = [sys.executable, "-c", code + "from minigpt.__main__ import run\nrun()", "race", *arguments]
    ends = dict.fromkeys(["stdin", "stdout", "stderr"], theirs)
    here = os.environ | {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}
    with subprocess.Popen(command, env=here, **ends) as process:
        os.close(theirs)
        out = b""
        while new := read(ours):
            out += new
            if until is not None and until in out:
                process.send_signal(signal.SIGINT)
                until = None
    os.close(ours)
    return out.decode(errors="replace"), process.returncode  # an interrupt may cut a character


def read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody writes any more
        return b""


def test_on_a_terminal_two_panes_stand_side_by_side_and_the_verdict_below():
    out, code = on_a_terminal("--new-tokens", "40")
    assert code == 0
    last = out[out.rindex("without a cache ") :]
    assert "with a cache: dynamic" in last.splitlines()[0]
    assert last.count("40 of 40 tokens") == 2
    assert "the same text: yes, 40 tokens" in last
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l"), "the cursor is back"


def test_on_a_terminal_ctrl_c_gives_the_cursor_back():
    out, code = on_a_terminal("--new-tokens", "500", until=b"without a cache")
    assert code == 130
    assert out.endswith("\x1b[?25h\r\ninterrupted\r\n")
