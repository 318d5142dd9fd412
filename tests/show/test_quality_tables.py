"""The tables of recall and of the recorded quality."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.rounding import RoundingError
from minigpt.measure.quality.scores import Score
from minigpt.measure.quality.settings import exact, sliding
from minigpt.show.tables.quality import report_recording


@pytest.fixture
def lines():
    full = Score(exact("dynamic"), 25, [25] * 8, 786_432, 800_000, 2.178, 0.0, (0.0, 0.0))
    window = replace(full, setting=sliding(64, 4), right=[25, 7, 0, 0, 0, 0, 0, 1], more_bits_interval=(0.1479, 0.179))
    error = RoundingError(2, 4, "channel", 0.06, 0.085, 0.0342, 0.0329, 0.024, 0.0526)
    recording = Recording(
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
        [full, window],
        [error],
        [full],
        [replace(error, bits=2)],
        [replace(window, right=[24] * 8)],
    )
    console = Console(file=io.StringIO(), width=200)
    report_recording(recording, console)
    return [" ".join(line.replace("│", " ").split()) for line in console.file.getvalue().splitlines()]


def test_a_line_says_bytes_recall_its_interval_and_the_bits(lines):
    assert (
        "dynamic 786,432 800,000 100.0% 98.1 to 100.0 100 100 100 100 100 100 100 100 2.178 +0.0000 to +0.0000" in lines
    )
    window = next(line for line in lines if line.startswith("window 64, 4 sinks"))
    assert "16.5% 12.0 to 22.3 100 28 0 0 0 0 0 4 2.178 +0.1479 to +0.1790" in window


def test_errors_stand_under_their_names(lines):
    headings = next(line for line in lines if "output of keys" in line).replace("┃", " ").split()
    assert headings[:6] == ["group", "bits", "layer", "keys", "scores", "weights"]
    assert "channel 4 2 0.0600 0.0342 0.0329 0.0240 0.0850 0.0526" in lines


def test_the_outlier_is_said_to_be_there_on_purpose(lines):
    said = next(at for at, line in enumerate(lines) if "20 times as large on purpose" in line)
    assert "channel 2 2 0.0600 0.0342 0.0329 0.0240 0.0850 0.0526" in lines[said:]
    assert lines[0] == "25 memory questions at each distance, seed 303"


def test_it_says_how_bytes_are_counted_and_what_is_measured_so(lines):
    assert (
        lines[1] == "Bytes: of 450 tokens, kept in float16, fed one token at a time, at their end (most: on the way)."
    )
    said = lines.index("Not in float32, fed 64 tokens at once, but as bytes are counted:")
    assert any(line.startswith("window 64, 4 sinks") and "96.0%" in line for line in lines[said:])
