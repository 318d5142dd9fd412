"""The quality of a real model: what is recorded agrees with the code, and a tiny Llama goes the same way."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.cache import make_cache
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.measure.quality import real_recording
from minigpt.measure.quality.channels import channel_sizes
from minigpt.measure.quality.interval import clustered, wilson
from minigpt.measure.quality.real import held_at_end
from minigpt.measure.quality.real_recording import RealRecording, record
from minigpt.measure.quality.real_settings import REAL_SETTINGS
from minigpt.measure.quality.settings import exact, rounding, sliding
from minigpt.pretrained import load_tokenizer
from minigpt.recall.corpus import VOCABULARY
from minigpt.recall.plain_english import BINS, EACH, REST
from minigpt.recall.reading import SEGMENT
from minigpt.show.plots.recorded_real import recorded_real

SMOLLM2 = {"vocab_size": 49152, "context": 8192, "n_layer": 30, "n_head": 9, "n_kv_head": 3, "n_embd": 576}
WINDOWED = "window", "sinks", "streaming"
TWO = (exact("dynamic"), rounding("quanto", 2, "channel", "token", 8))

ANOTHER = sliding(100, 4, streaming=True)


@pytest.fixture(scope="module")
def recorded():
    return recorded_real()


def test_the_record_is_of_the_settings_and_bins_of_today(recorded):
    assert recorded.settings == [*REAL_SETTINGS]
    assert recorded.edges == [high for _, high in BINS]
    assert recorded.settings[0] == exact("dynamic")
    assert recorded.passages >= 1
    assert len(recorded.channels.keys) == len(recorded.channels.values) == SMOLLM2["n_layer"]


def test_the_record_has_each_segment_and_each_line(recorded):
    segments = -(-(BINS[-1][1] - 1) // SEGMENT)
    of_exact = [reading.nbytes for reading in recorded.readings[0]]
    for readings in recorded.readings:
        for reading, nbytes in zip(readings, of_exact, strict=False):
            assert reading.nbytes == nbytes
            assert len(reading.bits) == len(nbytes) == segments
            assert [len(lines) for lines in reading.right] == [EACH] * len(BINS)
            assert all(0 <= right <= REST for lines in reading.right for right in lines)


def test_bytes_are_what_such_a_cache_holds(recorded):
    """After a passage and one token, in 16 bits a number."""
    config = LlamaConfig(**SMOLLM2 | {"n_layer": 2, "n_inner": 8})
    for setting, nbytes in zip(recorded.settings, recorded.nbytes, strict=True):
        window = {} if setting.window is None else {name: getattr(setting, name) for name in WINDOWED}
        sizes, singly = replace(config, **window), [1] * (BINS[-1][1] + 1)
        chunks = [BINS[-1][1], 1] if setting.cache == "quantized" else singly
        options = {"chunk": 1} if setting.window else {}
        cache = make_cache(setting.cache, sizes, dtype=torch.bfloat16, **options, **setting.options)
        for chunk in chunks:
            cache.admit(torch.arange(cache.length, cache.length + chunk)[None])
            for layer in range(2):
                cache.update(*2 * [torch.zeros(1, chunk, 3, 64, dtype=torch.bfloat16)], layer)
        assert nbytes == cache.nbytes * SMOLLM2["n_layer"] // 2, setting.name


def test_sums_and_intervals_are_those_of_the_readings(recorded):
    first = recorded.readings[0][: recorded.passages]
    for score, readings in zip(recorded.scores, recorded.readings, strict=True):
        readings = readings[: recorded.passages]
        bits, nbytes = (math.fsum(sum(getattr(each, name)) for each in readings) for name in ("bits", "nbytes"))
        of_exact = math.fsum(sum(each.bits) for each in first)
        assert score.bits_per_byte == pytest.approx(bits / nbytes)
        assert score.more_bits == pytest.approx((bits - of_exact) / nbytes, abs=1e-12)
        right = np.array([each.right for each in readings])
        assert score.recall == pytest.approx(right.mean() / REST)
        assert [*score.by_distance.values()] == pytest.approx(right.mean((0, 2)) / REST)
        for value, (low, high) in (
            (score.more_bits, score.more_bits_interval),
            (score.recall, score.recall_interval),
            *zip(score.by_distance.values(), score.intervals_by_distance.values(), strict=True),
        ):
            assert low - 1e-12 <= value <= high + 1e-12


def test_answers_that_belong_together_count_as_fewer():
    alone = clustered([1, 0] * 20, 1)
    assert alone == pytest.approx(wilson(20, 40), abs=0.002)
    assert clustered([2, 3] * 8, 5) == wilson(40, 80)  # they vary less than by chance
    low, high = clustered([5, 0] * 8, 5)  # all of a line, or nothing: as many answers as lines
    near = wilson(8, 16)
    assert (low, high) == pytest.approx(near, abs=0.01)
    assert clustered([5] * 8, 5) == wilson(40, 40)
    assert clustered([3], 5) == wilson(3, 5)


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "n_layer": 2, "n_head": 2, "n_kv_head": 1, "n_embd": 16, "n_inner": 24}
    return Llama(LlamaConfig(**sizes, context=700)).eval()


def test_recording_goes_on_where_it_was_left(llama, tmp_path, monkeypatch):
    monkeypatch.setattr(real_recording, "REAL_SETTINGS", TWO)
    path, tokenizer, seen = tmp_path / "real.json", load_tokenizer("recall"), []

    def stop(setting):
        seen.append(setting.name)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record("tiny", llama, tokenizer, 2, 0, path, stop)
    begun = RealRecording.load(path)
    assert (begun.passages, [len(each) for each in begun.readings]) == (1, [2, 1])
    whole = record("tiny", llama, tokenizer, 2, 0, path, lambda setting: seen.append(setting.name))
    assert seen == 2 * [setting.name for setting in TWO]
    assert whole == RealRecording.load(path)
    assert whole == record("tiny", llama, tokenizer, 2, 0, tmp_path / "at-once.json")
    assert whole.passages == 2
    assert whole.scores[1].more_bits != 0
    with pytest.raises(ValueError, match=r"holds another recording: give another --out"):
        record("tiny", llama, tokenizer, 2, 1, path)


def test_a_new_setting_is_read_and_no_reading_is_lost(llama, tmp_path, monkeypatch):
    path, tokenizer = tmp_path / "real.json", load_tokenizer("recall")
    monkeypatch.setattr(real_recording, "REAL_SETTINGS", TWO)
    record("tiny", llama, tokenizer, 1, 0, path)
    monkeypatch.setattr(real_recording, "REAL_SETTINGS", (TWO[0], ANOTHER, TWO[1]))
    seen = []
    whole = record("tiny", llama, tokenizer, 1, 0, path, lambda setting: seen.append(setting))
    assert seen == [ANOTHER]
    assert whole == RealRecording.load(path)
    assert whole == record("tiny", llama, tokenizer, 1, 0, tmp_path / "at-once.json")
    monkeypatch.setattr(real_recording, "REAL_SETTINGS", TWO)
    with pytest.raises(ValueError, match=r"holds another recording: give another --out"):
        record("tiny", llama, tokenizer, 1, 0, path)
    assert whole == RealRecording.load(path)


def test_bytes_by_the_closed_form(llama):
    assert held_at_end(llama, TWO[0], 500) == 2 * 2 * 512 * 8 * 2  # it has doubled its slots
    one = 8 * 2  # bytes of keys, or values, of an exact token
    assert held_at_end(llama, TWO[1], 512) == 2 * 2 * (512 * (8 // 4 + 2 * 2) + one)  # codes, scale, offset; the next


def test_a_channel_is_as_large_as_its_keys_are(llama):
    ids = torch.arange(60).view(2, 30)
    before = channel_sizes(llama, ids)
    assert (before.tokens, len(before.keys), len(before.keys[0])) == (60, 2, 8)
    with torch.no_grad():
        llama.layers[0].self_attn.v_proj.weight[3] *= 10
    after = channel_sizes(llama, ids)
    with torch.no_grad():
        llama.layers[0].self_attn.v_proj.weight[3] /= 10
    assert after.values[0][3] == pytest.approx(10 * before.values[0][3], rel=1e-3)
    assert after.keys[0] == before.keys[0]
    assert after.largest("values")[0] == pytest.approx(after.values[0][3] / np.median(after.values[0]))
