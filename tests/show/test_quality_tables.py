"""The tables of recall and of the recorded quality."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.rounding import RoundingError
from minigpt.measure.quality.scores import Score
from minigpt.measure.quality.settings import SETTINGS, exact, rounding, sliding
from minigpt.show.plots.recorded_real import recorded_real
from minigpt.show.tables.quality import report_recording
from minigpt.show.tables.quality_real import report_real
from minigpt.show.tables.setting_names import explained, short_name

RULE = "─"  # below a table's heads


def printed(report, *arguments, width=80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    report(*arguments, console)
    return console.file.getvalue().splitlines()


@pytest.fixture
def recording():
    full = Score(exact("dynamic"), 25, [25] * 8, 786_432, 800_000, 2.178, 0.0, (0.0, 0.0))
    window = replace(full, setting=sliding(64, 4), right=[25, 7, 0, 0, 0, 0, 0, 1], more_bits_interval=(0.1479, 0.179))
    widest = max(SETTINGS, key=lambda setting: len(setting.name))
    error = RoundingError(2, 4, "channel", 0.06, 0.085, 0.0342, 0.0329, 0.024, 0.0526)
    return Recording(
        "recall",
        "float32",
        "2",
        1,
        303,
        25,
        450,
        64,
        "float16",
        5,
        20.0,
        [full, window, replace(full, setting=widest)],
        [error],
        [full],
        [replace(error, bits=2)],
        [replace(window, right=[24] * 8)],
    )


@pytest.fixture
def lines(recording):
    return [" ".join(line.split()) for line in printed(report_recording, recording)]


def test_a_line_says_recall_and_its_interval_another_bytes_and_bits(lines):
    assert "dynamic 100.0% 98.1 to 100.0 100 100 100 100 100 100 100 100" in lines
    assert "window 64, 4 sinks 16.5% 12.0 to 22.3 100 28 0 0 0 0 0 4" in lines
    assert "dynamic 786,432 800,000 2.178 +0.0000 to +0.0000" in lines
    assert "window 64, 4 sinks 786,432 800,000 2.178 +0.1479 to +0.1790" in lines


def test_errors_stand_under_their_names(lines):
    heads = next(line for line in lines if line.startswith("group bits"))
    assert heads == "group bits layer keys scores weights of keys values of values"
    assert "channel 4 2 0.0600 0.0342 0.0329 0.0240 0.0850 0.0526" in lines


def test_the_outlier_is_said_to_be_there_on_purpose(lines):
    said = next(at for at, line in enumerate(lines) if "20 times as large on purpose" in line)
    assert "channel 2 2 0.0600 0.0342 0.0329 0.0240 0.0850 0.0526" in lines[said:]
    assert lines[1].startswith("25 memory questions at each distance, seed 303.")


def test_it_says_how_bytes_are_counted_and_what_is_measured_so(lines):
    words = "Bytes: of 450 tokens, kept in float16, fed one token at a time, at their end (most: on the way)."
    assert words in " ".join(lines)
    said = lines.index("Not in float32, fed 64 tokens at once, but as bytes are counted:")
    assert any(line.startswith("window 64, 4 sinks 96.0%") for line in lines[said:])


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_80_columns_and_no_row_is_broken(recording, width):
    lines = printed(report_recording, recording, width=width)
    assert max(map(len, lines)) <= 80
    assert lines == printed(report_recording, recording)


def test_no_large_number_is_cut(recording):
    large = replace(recording, scores=[replace(recording.scores[0], nbytes=10**30, most_nbytes=10**60)])
    assert f"{10**30:,}  {10**60:,}" in "\n".join(printed(report_recording, large))


def test_words_say_what_a_table_means_before_it_comes(recording):
    lines = printed(report_recording, recording)
    first = next(at for at, line in enumerate(lines) if line.startswith(RULE))
    before = " ".join(" ".join(lines[:first]).split())
    for said in ("Right:", "to N:", "Bits a byte:", "Bytes:"):
        assert said in before


def test_a_short_name_is_one_setting_and_explained_where_there_is_one_to_explain():
    assert len({short_name(setting) for setting in SETTINGS}) == len(SETTINGS)
    assert short_name(sliding(64, 4)) == "window 64, 4 sinks"
    two = rounding("quanto", 2, "channel", "token")
    words = "int2 channel/token: 2 bits; keys share a scale by channel, values by token."
    assert explained([exact("none"), rounding("quanto", 8, "head", "head"), two]) == words
    assert explained([exact("none"), sliding(64, 4)]) == ""


def test_the_tables_of_a_real_model_have_its_numbers_and_fit_80_columns():
    recording = recorded_real()
    lines, table = printed(report_real, recording), {}
    assert max(map(len, lines)) <= 80
    for line in lines:
        for score in recording.scores:
            if line.startswith(short_name(score.setting) + " "):
                table.setdefault(score.setting.name, []).append(line)
    for score in recording.scores:
        prose, recall = table[score.setting.name]
        low, high = score.more_bits_interval
        assert f"{score.nbytes:,}" in prose
        assert f"{score.bits_per_byte:.3f}" in prose
        assert prose.endswith(f"{low:+.4f} to {high:+.4f}")
        assert f"{100 * score.recall:.1f}%" in recall
        assert recall.split()[-1] == f"{100 * [*score.by_distance.values()][-1]:.0f}"
    (unread,) = (line for line in lines if line.startswith("not read"))
    assert unread.split()[2:] == [f"{100 * share:.0f}" for share in recording.chance.values()]
