"""Scores of settings: what they are compared with, what they forget, and the bytes they hold."""

import pytest
import torch

from minigpt import GPT, GPTConfig
from minigpt.cache import CACHES, make_cache
from minigpt.measure.quality import reference as reference_module
from minigpt.measure.quality import scores as scores_module
from minigpt.measure.quality.interval import wilson
from minigpt.measure.quality.reference import PROMPT_TOKENS, Reference, reference_of
from minigpt.measure.quality.scores import Score, held, score, score_all
from minigpt.measure.quality.settings import CHECKED, INJECTED, SETTINGS, Setting, exact, rounding, sliding
from minigpt.recall.corpus import Text, held_out
from minigpt.recall.exam import bits_per_byte, right_by_distance
from minigpt.recall.questions import BINS, questions

NUMBERS = 3 * 2 * 128  # of keys and values of a token, in three layers of the bundled model


@pytest.fixture(scope="module")
def model():
    return GPT.from_pretrained("recall")


@pytest.fixture(scope="module")
def short():
    """The first 1,300 tokens of the play: two segments and a part of a third."""
    play = held_out()
    return Text(play.ids[:1300], play.words, play.nbytes, play.ends_line)


@pytest.fixture(scope="module")
def reference(model, short):
    return reference_of(model, 2, seed=8, text=short)


def test_every_setting_has_its_name_and_a_cache(model):
    """A new cache need not have been measured: an exact one has the quality of the others."""
    assert {setting.cache for setting in SETTINGS} <= set(CACHES)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in (*SETTINGS, *INJECTED, *CHECKED):
        make_cache(setting.cache, setting.serve(model).config, **setting.options)
    for backend, bits in [("quanto", 8), ("quanto", 4), ("quanto", 2), ("quanto", 1), ("kivi", 2), ("hqq", 4)]:
        assert any((each.options.get("backend"), each.options.get("nbits")) == (backend, bits) for each in SETTINGS)


def test_an_exact_cache_scores_what_the_reference_does(model, reference, short):
    got = score(model, exact("dynamic"), reference)
    assert got.right == reference.right == [2] * len(BINS)
    assert got.recall == 1
    assert got.recall_interval == wilson(16, 16)
    assert got.bits_per_byte == pytest.approx(bits_per_byte(model, text=short), rel=1e-5)
    assert abs(got.more_bits) < 1e-5
    assert max(map(abs, got.more_bits_interval)) < 1e-5


def test_side_by_side_settings_score_as_one_after_another_and_come_in_their_order(model, short):
    settings, told = [exact("dynamic"), sliding(64, 4), rounding("quanto", 1, "tensor", "tensor")], []
    together = score_all(model, settings, 2, 8, told.append, short, workers=3)
    assert together == told == score_all(model, settings, 2, 8, text=short)
    assert [each.setting for each in told] == settings


def test_a_rounded_one_scores_worse_and_its_interval_is_around_the_difference(model, reference, short):
    setting = rounding("quanto", 1, "tensor", "tensor")
    got = score(model, setting, reference)
    assert sum(got.right) < 16
    assert got.bits_per_byte == pytest.approx(bits_per_byte(model, setting.cache, short, **setting.options))
    assert got.more_bits == pytest.approx(got.bits_per_byte - bits_per_byte(model, text=short), abs=1e-6)
    low, high = got.more_bits_interval
    assert 0 < low <= got.more_bits <= high


def assert_window_of_64_forgets(model):
    """Its questions come after the cache is made; past 64 tokens it guesses among the values of all facts."""
    setting = sliding(64, 4)
    served = setting.serve(model)
    near, far = right_by_distance(
        served, setting.cache, 12, 5, length=PROMPT_TOKENS, bins=[BINS[0], BINS[3]], **setting.options
    ).values()
    assert near >= 11
    assert far <= 12 * questions(5, BINS[3], 12, length=PROMPT_TOKENS).chance + 4  # 3 standard deviations


def test_a_window_of_64_is_seen_to_forget_past_64(model):
    assert_window_of_64_forgets(model)


def test_a_window_that_is_never_given_to_the_model_would_be_noticed(model, monkeypatch):
    monkeypatch.setattr(Setting, "serve", lambda self, model: model.with_window(512, self.sinks))
    with pytest.raises(AssertionError):
        assert_window_of_64_forgets(model)


def test_what_the_window_forgets_begins_right_past_it(model):
    """Question by question: those up to 64 tokens back are answered, those past it are not, within one bin."""
    asked = questions(5, (51, 100), 40, length=PROMPT_TOKENS)
    with torch.no_grad():
        answers = sliding(64, 0).serve(model)(asked.prompts)[:, -1].argmax(-1)
    right, seen = answers == asked.answers, asked.distances <= 62  # the name stands one before the value, and asks
    assert 3 <= seen.sum() <= 20
    assert right[seen].float().mean() > 0.9
    assert right[~seen].float().mean() < 0.4


@pytest.mark.parametrize(
    ("setting", "nbytes"),
    [
        (exact("none"), 0),
        (exact("concat"), 2 * NUMBERS * 450),
        (exact("dynamic"), 2 * NUMBERS * 512),
        (sliding(64, 4), 2 * NUMBERS * (64 + 4)),
        (sliding(256, 0), 2 * NUMBERS * 256),
        # Codes, two float16 for each 64 (or 32) numbers; exact are the last token, by channel the last two.
        (rounding("quanto", 4, "token", "token"), NUMBERS * 449 * 4 // 8 + NUMBERS * 449 * 4 // 64 + 2 * NUMBERS),
        (
            rounding("quanto", 1, "channel", "token"),
            NUMBERS // 2 * (448 + 449) // 8 + NUMBERS // 2 * (448 + 449) * 4 // 64 + NUMBERS * (2 + 1),
        ),
        (
            rounding("kivi", 2, "channel", "token", 32),
            NUMBERS // 2 * (448 + 449) // 4 + NUMBERS // 2 * (448 + 449) * 4 // 32 + NUMBERS * (2 + 1),
        ),
        # One scale for 64 tokens: of a head, of all.
        (rounding("hqq", 2, "head", "head"), NUMBERS * 448 // 4 + 3 * 2 * 2 * 7 * 4 + 2 * NUMBERS * 2),
        (rounding("fp8", 8, "tensor", "tensor"), NUMBERS * 448 + 3 * 2 * 7 * 2 + 2 * NUMBERS * 2),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_bytes_held_are_the_closed_form(model, setting, nbytes):
    assert held(setting.serve(model).config, setting)[-1] == nbytes


@pytest.mark.parametrize("setting", SETTINGS[::3], ids=lambda setting: setting.name)
def test_bytes_held_are_those_of_a_cache_that_is_fed_one_token_at_a_time(model, setting):
    config, tokens = setting.serve(model).config, 130  # two groups of 64, and two tokens more
    singly = {"chunk": 1} if setting.window else {}
    cache = make_cache(setting.cache, config, dtype=torch.float16, **singly, **setting.options)
    token, found = torch.zeros(1, 1, config.n_kv_head, config.head_size, dtype=torch.float16), []
    for _ in range(tokens):
        cache.admit(None, torch.zeros(1, 1, dtype=torch.int64))
        for layer in range(config.n_layer):
            cache.update(token, token, layer)
        found.append(cache.nbytes)
    assert held(config, setting, tokens) == found


def test_a_window_holds_as_much_from_the_start_and_groups_of_64_tokens_most_before_they_are_whole(model):
    ring = sliding(64, 4)
    assert set(held(ring.serve(model).config, ring)) == {2 * NUMBERS * 68}
    bytes_after = held(model.config, rounding("quanto", 1, "channel", "channel"))
    assert len(bytes_after) == PROMPT_TOKENS
    assert max(bytes_after) == bytes_after[447] == NUMBERS * 384 // 8 + NUMBERS * 6 * 4 + 2 * NUMBERS * 64


def test_a_score_has_the_bytes_at_the_end_and_the_most_on_the_way(model, reference):
    setting = rounding("quanto", 1, "channel", "channel")
    got, bytes_after = score(model, setting, reference), held(model.config, setting)
    assert (got.nbytes, got.most_nbytes) == (bytes_after[-1], bytes_after[447])


def test_fed_one_token_at_a_time_a_window_answers_and_predicts_the_same(model, reference):
    """It sees as much however it is fed; its ring has just the slots that this takes."""
    setting = sliding(64, 4)
    one, other = (score(model, setting, reference, chunk) for chunk in (1, 64))
    assert one.right == other.right
    assert one.bits_per_byte == pytest.approx(other.bits_per_byte, rel=1e-5)


@pytest.mark.parametrize(("right", "fine"), [([50] * 8, True), ([49] * 8, True), ([50] * 7 + [48], False)])
def test_a_model_that_remembers_under_98_percent_at_any_distance_is_no_measure(right, fine, short):
    if fine:
        Reference(0, 50, short, right, [1.0], [1])
    else:
        with pytest.raises(
            ValueError, match="answers 48 of 50 questions right at distances up to 400, and 98% are wanted"
        ):
            Reference(0, 50, short, right, [1.0], [1])


def test_an_untrained_model_is_refused_before_any_setting_is_scored(monkeypatch):
    monkeypatch.setattr(reference_module, "bits_by_segment", lambda *_: ([1.0], [1]))
    model = GPT(GPTConfig(vocab_size=1024, context=512, n_layer=1, n_head=1, n_embd=8)).eval()
    with pytest.raises(ValueError, match="without a cache the model answers 0 of 1 questions"):
        score_all(model, [exact("no such cache")], questions=1)


def test_a_score_by_distance_has_its_intervals_beside_it():
    got = Score(exact("dynamic"), 25, [25, 25, 24, 20, 10, 5, 1, 0], 0, 0, 2.0, 0.0, (0.0, 0.0))
    assert got.by_distance == {50: 1, 100: 1, 150: 0.96, 200: 0.8, 250: 0.4, 300: 0.2, 350: 0.04, 400: 0}
    assert got.intervals_by_distance[150] == wilson(24, 25)
    assert got.recall == 110 / 200


def test_each_setting_is_told_of_as_it_is_done(monkeypatch):
    monkeypatch.setattr(scores_module, "reference_of", lambda model, questions, seed, text: (model, questions, seed))
    monkeypatch.setattr(
        scores_module,
        "score",
        lambda model, setting, made, chunk: Score(setting, made[1], [made[2]], chunk, chunk, 2.0, 0.0, (0.0, 0.0)),
    )
    told = []
    scores = score_all("model", SETTINGS[2:4], 2, 8, told.append, chunk=3)
    assert told == scores
    assert [(each.setting, each.questions, each.right, each.nbytes) for each in scores] == [
        (setting, 2, [8], 3) for setting in SETTINGS[2:4]
    ]


def test_read_one_token_at_a_time_prose_is_predicted_worse_through_values_rounded_at_once(model, short):
    """In chunks of 64 the newest numbers are exact, which prose needs most; the recording has it of the whole play."""
    setting, exactly = rounding("quanto", 2, "channel", "token"), bits_per_byte(model, text=short)
    singly, at_once = (bits_per_byte(model, setting.cache, short, chunk=n, **setting.options) for n in (1, 64))
    assert singly - exactly > 3 * (at_once - exactly) > 0
