"""The recorded quality is what the code would measure now: a few of its figures are measured again."""

import copy
import json
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
import torch

from minigpt import GPT
from minigpt.measure.quality import recording as recording_module
from minigpt.measure.quality.outliers import scale_key_channel_everywhere
from minigpt.measure.quality.recording import Recording, record
from minigpt.measure.quality.reference import PROMPT_TOKENS
from minigpt.measure.quality.rounding import FORMS, errors
from minigpt.measure.quality.scores import KEPT, held
from minigpt.measure.quality.settings import CHECKED, INJECTED, SETTINGS
from minigpt.measure.recorded import DATA
from minigpt.recall.corpus import held_out
from minigpt.recall.exam import CHUNK, bits_per_byte, right_by_distance
from minigpt.recall.questions import BINS
from minigpt.show.plots.recorded import as_large, smallest_good

PATH = DATA / "quality.json"

# Setting, bin: where all, some and none are remembered.
SAMPLE = [
    ("window 64, 4 sinks", 1),
    ("window 128, no sinks", 2),
    ("int2, keys by channel, values by token", 7),
    ("int1, keys by token, values by token", 7),
]
INJECTED_SAMPLE = [("int4, keys by head, values by token", 4), ("int2, keys by channel, values by token", 3)]


@pytest.fixture(scope="module")
def recorded():
    return Recording.load(PATH)


@pytest.fixture(scope="module")
def model():
    return GPT.from_pretrained("recall")


def test_it_is_of_the_settings_that_there_are(recorded):
    assert [each.setting for each in recorded.scores] == list(SETTINGS)
    assert [each.setting for each in recorded.injected_scores] == list(INJECTED)
    assert [each.setting for each in recorded.checked_scores] == list(CHECKED)
    assert recorded.model == "recall"
    assert recorded.dtype == "float32"
    assert recorded.threads == 1
    assert recorded.torch.startswith("2.")
    assert (recorded.prompt_tokens, recorded.chunk, recorded.kept) == (PROMPT_TOKENS, CHUNK, "float16")


def assert_measured_again(model, recorded, scores, name, place, chunk=CHUNK):
    """A question whose two likeliest answers are a rounding error of float32 apart may fall otherwise on another
    machine, where sums are made in another order; of the 25 of a bin, one such is allowed for, not two."""
    (score,) = (each for each in scores if each.setting.name == name)
    setting = score.setting
    (right,) = right_by_distance(
        setting.serve(model),
        setting.cache,
        recorded.questions,
        recorded.seed,
        length=PROMPT_TOKENS,
        bins=[BINS[place]],
        chunk=chunk,
        **setting.options,
    ).values()
    assert abs(right - score.right[place]) <= 1


@pytest.mark.parametrize(("name", "place"), SAMPLE)
def test_the_recorded_seed_gives_the_recorded_answers(model, recorded, name, place):
    assert_measured_again(model, recorded, recorded.scores, name, place)


@pytest.mark.parametrize(("name", "place"), INJECTED_SAMPLE)
def test_so_it_does_with_the_injected_outlier(model, recorded, name, place):
    injected = scale_key_channel_everywhere(model, recorded.channel, recorded.factor)
    assert_measured_again(injected, recorded, recorded.injected_scores, name, place)


def test_so_it_does_in_float16_fed_one_token_at_a_time(model, recorded):
    half = copy.deepcopy(model).to(KEPT)
    assert_measured_again(half, recorded, recorded.checked_scores, "window 68, 4 sinks", 1, chunk=1)


def test_another_setting_would_not_pass_for_it(model, recorded):
    """The rule still tells one setting from its neighbour."""
    scores = [
        replace(each, setting=replace(each.setting, window=96)) if each.setting.window == 128 else each
        for each in recorded.scores
    ]
    with pytest.raises(AssertionError):
        assert_measured_again(model, recorded, scores, "window 128, no sinks", 2)


def test_bytes_are_those_held_now(model, recorded):
    for score in recorded.scores[::6]:
        nbytes = held(score.setting.serve(model).config, score.setting)
        assert (nbytes[-1], max(nbytes)) == (score.nbytes, score.most_nbytes)


def test_bits_per_byte_are_those_of_the_full_model_and_what_is_more(model, recorded):
    first = recorded.scores[0].bits_per_byte
    assert bits_per_byte(model) == pytest.approx(first, rel=1e-5)
    for score in recorded.scores:
        low, high = score.more_bits_interval
        assert score.bits_per_byte - first == pytest.approx(score.more_bits, abs=1e-9)
        assert low <= score.more_bits <= high


def test_rounding_errors_are_those_of_the_code(model, recorded):
    """With 2 bits, for all groups and layers. Other machines may round a few of 260,000 numbers to the next code."""
    ids = torch.from_numpy(held_out().ids[: 4 * 512].astype("int64")).view(4, 512)
    found = errors(model, ids, [FORMS[2]])
    wanted = [each for each in recorded.errors if each.bits == 2]
    for got, want in zip(found, wanted, strict=True):
        assert (got.layer, got.bits, got.group) == (want.layer, want.bits, want.group)
        assert [*asdict(got).values()][3:] == pytest.approx([*asdict(want).values()][3:], rel=1e-3)


def test_what_it_shows(recorded):
    """The sentences that figures and notebooks say of it."""
    of = {each.setting.name: each for each in recorded.scores}
    # The wider the window, the more is remembered.
    windows = [of[f"window {window}, 4 sinks"] for window in (32, 64, 128, 256)]
    for narrow, wide in pairwise(windows):
        assert narrow.recall_interval[1] < wide.recall_interval[0]
        assert narrow.more_bits_interval[0] > wide.more_bits_interval[1]
    # From 8 to 2 bits all is remembered, whatever shares a scale; with 1 bit next to nothing is.
    for score in recorded.scores:
        if score.setting.family == "quanto":
            assert (score.recall == 1) == (score.setting.options["nbits"] > 1)
    # The prose tells groups apart that the questions don't: 2 bits, the fewer scales the worse.
    by = [of[f"int2, keys by {name}, values by {name}"] for name in ("channel", "head", "tensor")]
    for finer, coarser in pairwise(by):
        assert finer.more_bits_interval[1] < coarser.more_bits_interval[0]


def test_2_bits_keep_what_a_window_as_large_forgets_and_one_larger_than_the_most_that_they_hold(recorded):
    of = {each.setting.name: each for each in recorded.scores}
    good, window, wider = smallest_good(recorded.scores), as_large(recorded.scores), of["window 128, 4 sinks"]
    assert good.setting.name == "int2, keys by channel, values by token"
    assert good.nbytes <= window.nbytes < 1.01 * good.nbytes
    assert good.most_nbytes < wider.nbytes
    for each in (window, wider):
        assert each.recall_interval[1] < good.recall_interval[0]
    # In float32, or with slots for a chunk, it would hold more.
    assert of["window 64, 4 sinks"].nbytes < good.nbytes


def test_fed_one_token_at_a_time_the_answers_are_the_same_and_rounding_predicts_prose_worse(recorded):
    """Values by token are then rounded at once, and no longer 64 tokens later. A window sees the same."""
    at_once = {each.setting.name: each for each in recorded.scores}
    for score in recorded.checked_scores:
        for one, other in zip(score.right, at_once[score.setting.name].right, strict=True):
            assert abs(one - other) <= 1
    window, *rounded = recorded.checked_scores
    assert window.more_bits == pytest.approx(at_once[window.setting.name].more_bits, rel=0.01)
    for score in rounded:
        assert score.more_bits_interval[0] > at_once[score.setting.name].more_bits_interval[1]
        assert score.more_bits_interval[1] < window.more_bits_interval[0]


def test_rounded_values_hurt_the_output_of_attention_more_than_rounded_keys(recorded):
    """Without outliers, whatever shares a scale, in every layer, at every number of bits."""
    for error in recorded.errors:
        assert error.output_of_values > error.output_of_keys


def test_an_injected_outlier_hurts_keys_that_are_not_grouped_by_channel(recorded):
    of = {each.setting.name: each for each in recorded.injected_scores}
    as_it_is = {each.setting.name: each for each in recorded.scores}
    channel = of["int2, keys by channel, values by token"]
    assert channel.right == as_it_is[channel.setting.name].right
    for name in ("token", "head", "tensor"):
        assert of[f"int2, keys by {name}, values by token"].recall_interval[1] < channel.recall_interval[0]


def test_saved_and_loaded_it_is_the_same(recorded, tmp_path):
    recorded.save(tmp_path / "new folder" / "again.json")
    assert (tmp_path / "new folder" / "again.json").read_bytes() == PATH.read_bytes()


def test_record_measures_the_model_and_the_injected_one_and_in_float16_one_token_at_a_time(
    model, recorded, monkeypatch
):
    swept, marks = [], {}

    def score_all(each, settings, questions, seed, on_score, chunk=CHUNK, workers=1):
        swept.append((each, settings, questions, seed, each.dtype, chunk, workers))
        return recorded.scores[len(swept) :][:1]

    monkeypatch.setattr(recording_module, "score_all", score_all)
    monkeypatch.setattr(recording_module, "errors", lambda each, ids: marks.setdefault(id(each), recorded.errors[:1]))
    made = record("recall", model, 3, 9, workers=2)
    assert [(each is model, *how) for each, *how in swept] == [
        (True, SETTINGS, 3, 9, torch.float32, CHUNK, 2),
        (False, INJECTED, 3, 9, torch.float32, CHUNK, 2),
        (False, CHECKED, 3, 9, torch.float16, 1, 2),
    ]
    assert made.scores == recorded.scores[1:2]
    assert made.injected_scores == recorded.scores[2:3]
    assert made.checked_scores == recorded.scores[3:4]
    assert set(marks) == {id(each) for each, *_ in swept[:2]}
    assert (made.model, made.questions, made.seed, made.threads) == ("recall", 3, 9, 1)


def test_no_path_of_any_machine_is_in_it():
    assert "/" not in json.dumps(json.loads(PATH.read_text(encoding="utf-8")))
