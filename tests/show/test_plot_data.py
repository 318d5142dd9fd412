"""What the figures show is what happened: their numbers against closed forms, and titles that follow the data."""

import dataclasses
import json

import pytest
import torch
from matplotlib.patches import StepPatch

from minigpt.attention import NEVER
from minigpt.cache import CACHES, make_cache
from minigpt.config import GPTConfig
from minigpt.measure.forms.flops import Flops, cached_flops, uncached_flops
from minigpt.measure.forms.real_models import GPT2
from minigpt.measure.quality.scores import Score
from minigpt.measure.quality.settings import SETTINGS
from minigpt.measure.timed.time_per_token import TimePerToken, record
from minigpt.show.plots.bytes_held import SHOWN, bytes_held, held
from minigpt.show.plots.channels import largest_channels, sizes_by_model
from minigpt.show.plots.flops import flops, work
from minigpt.show.plots.growth import growing_weights, growth
from minigpt.show.plots.labels import spread
from minigpt.show.plots.ladder import ladder, moves
from minigpt.show.plots.models import contexts, real_models
from minigpt.show.plots.prompt import NEW, prompt
from minigpt.show.plots.quality import quality_against_bytes
from minigpt.show.plots.quality_real import prose_against_bytes
from minigpt.show.plots.recall import recall_by_distance
from minigpt.show.plots.recall_real import recall_of_lines
from minigpt.show.plots.recorded import recorded_quality
from minigpt.show.plots.recorded_real import recorded_real, rounded_to, window_as_large
from minigpt.show.plots.redundancy import redundancy, runs
from minigpt.show.plots.ring import ring, turns
from minigpt.show.plots.sameness import repeats, sameness
from minigpt.show.plots.scales import groups_by_name
from minigpt.show.plots.time_a_token import time_a_token

ROW = 2 * 12 * 768 * 2  # bytes of a token of GPT-2 in 16 bits


def test_the_redundancy_map_says_how_many_rows_were_computed_again():
    """Prompt + prompt + 1 + ... rows, where a cache needs each once."""
    length = prompt().shape[1]
    needed, computed = length + NEW - 1, sum(range(length, length + NEW))
    picture = redundancy(*runs())
    assert f"{computed - needed} of {computed} key/value rows are computed again" in picture.words
    assert f"each of the {needed} is computed once" in picture.words


def test_the_difference_map_has_a_number_for_each_row_that_is_computed_again():
    found, length = repeats(), prompt().shape[1]
    for rows in (found.one_shape, *found.growing.values()):
        for step in range(NEW):
            again = torch.arange(rows.shape[1]) < (length + step - 1 if step else 0)
            assert torch.equal(~rows[step].isnan(), again)


def test_a_row_computed_again_is_the_same_to_the_bit_in_one_shape_and_but_for_rounding_as_the_text_grows():
    found = repeats()
    assert found.one_shape.nan_to_num().max() == 0
    assert found.growing["float32"].nan_to_num().max() < 1e-4
    assert found.growing["float64"].nan_to_num().max() < 1e-12
    words = "to the bit in products of one shape, to less than 10⁻⁴ in float32 (10⁻¹² in float64) in others"
    assert words in sameness(found).words


def test_the_difference_map_notices_rows_that_differ():
    found = repeats()
    found.growing["float32"][3, 2] = 0.02
    found.one_shape[3, 2] = 0.003
    picture = sameness(found)
    assert "to less than 10⁻² in products of one shape, to less than 10⁻¹ in float32" in picture.words
    maps = [panel.images[0].get_array() for panel in picture.axes]
    assert [each[3, 2] for each in maps] == [2, 2, 1]
    assert [each[3, 1] for each in maps] == [0, 1, 1]


def test_the_rows_of_attention_are_softmaxes_and_the_title_notices_one_that_changes():
    steps = growing_weights()
    for count, weights in enumerate(steps, start=1):
        assert weights.shape == (count, count)
        assert torch.equal(weights, weights.tril())
        assert torch.allclose(weights.sum(1), torch.ones(count, dtype=torch.float64), atol=1e-12)
    assert "stay what they were, to the bit, in matrix products of one shape" in growth(steps).words
    steps[2][1, 0] += 0.003
    assert "stay what they were, to less than 10⁻²" in growth(steps).words


def test_bytes_held_are_those_of_the_caches_closed_forms():
    found = held(tokens=200)
    rounded = 2 * 12 * 12 * (64 // 2 + 2 + 2)  # a token in 4 bits, and a scale and an offset for each of its heads
    assert {name: nbytes[-1] for name, nbytes in found.nbytes.items()} == {
        "concat": 200 * ROW,
        "dynamic": 256 * ROW,
        "static": 1024 * ROW,
        "sliding_window": 260 * ROW,
        "quantized": 129 * ROW + 71 * rounded,  # when the last one came, the newest 128 were exact
        "offloaded": 256 * ROW * 2 // 12,
        "offloaded_static": 1024 * ROW * 2 // 12,
    }
    assert "200 tokens of GPT-2 need 7.4 MB in bfloat16" in bytes_held(found).words


@pytest.mark.parametrize("name", SHOWN)
def test_bytes_held_are_those_of_a_cache_that_is_fed_token_by_token(name):
    """Past the tokens that stay exact, and past a doubling."""
    tokens = 133
    config = GPTConfig(**GPT2, **({"window": 256, "sinks": 4} if CACHES[name].needs_window else {}))
    options = {"sliding_window": {"chunk": 1}, "quantized": {"nbits": 4}}.get(name, {})
    cache, nbytes = make_cache(name, config, dtype=torch.bfloat16, **options), []
    row = torch.zeros(1, 1, config.n_kv_head, config.head_size, dtype=torch.bfloat16)
    for position in range(tokens):
        cache.admit(torch.tensor([[position]]))
        for layer in range(config.n_layer):
            cache.update(row, row, layer)
        nbytes.append(cache.resident_nbytes)
    assert held(tokens).nbytes[name] == nbytes


def test_a_doubling_is_drawn_as_a_step():
    for line in bytes_held(held(tokens=40)).axes[0].lines:
        assert line.get_drawstyle() == "steps-post"
        assert line.get_xdata().tolist() == [*range(1, 41)]


def test_a_ring_holds_what_a_query_sees_and_the_title_counts_what_it_misses():
    found = turns()
    assert found.held.shape == (14, 7)
    for step, there in enumerate(found.held):
        seen = {position for position in range(step + 1) if position > step - 5 or position < 2}
        assert seen <= set(there.tolist()) - {NEVER}
    assert "it forgets 7 of 14 tokens, and none that a query should see" in ring(found).words
    names = [label.get_text() for label in ring(found).axes[0].get_yticklabels()]
    assert names == ["sink 0", "sink 1", "slot 0", "slot 1", "slot 2", "slot 3", "slot 4"]
    found.held[13, 4] = NEVER
    assert "and 1 that a query should see" in ring(found).words


def test_groups_have_the_sizes_that_their_names_say():
    """8 tokens, 2 heads of 8 channels; 4 bits, and a scale and an offset of 16 bits for each group."""
    for name, size in {"token": 8, "channel": 8, "head": 64, "tensor": 128}.items():
        groups, bits = groups_by_name()[name]
        assert (groups.unique(return_counts=True)[1] == size).all()
        assert bits == 4 + 32 / size


def test_the_ladder_brings_up_all_that_was_written_and_takes_down_what_is_new():
    found = moves(prompt=30, new=2)
    assert found.down[-1] == 32 * ROW
    assert found.up[-1] - found.up[-13] == ROW * (31 * 11 + 32) // 12  # the next token's first layer is there already
    assert max(map(len, found.here)) == 2
    assert all(layer in here for layer, here in zip(found.at_work, found.here, strict=True))
    assert "2 of 12 layers, 0.4 of 2.2 MB, are in fast memory (32 tokens, room for 60)" in ladder(found).words


def test_flops_of_all_tokens_add_up_to_the_closed_forms_of_a_generation():
    how = {"attention": "causal", "logits": "last"}
    shown = work()
    assert sum(shown.without, Flops()) == uncached_flops(GPTConfig(**GPT2), 128, 512, **how)
    assert sum(shown.cached, Flops()) == cached_flops(GPTConfig(**GPT2), 128, 512, **how)
    assert "35.0 TFLOP without a cache, 0.156 with one, 225 times fewer" in flops(shown).words


def test_real_models_keep_what_their_layers_say():
    """Llama-3 70B 80 layers x 8 heads x 128, Mistral a window of 4096, DeepSeek-V3 576 numbers."""
    found = contexts()
    assert found["llama-3-70b"].nbytes[8192] == 8192 * 2 * 80 * 8 * 128 * 2
    assert found["mistral-7b"].nbytes[32768] == 4096 * 2 * 32 * 8 * 128 * 2
    assert found["deepseek-v3"].nbytes[163840] == 163840 * 61 * 576 * 2
    assert {name: memory.less for name, memory in found.items()} == {
        "llama-3-70b": "",
        "llama-3-8b": "",
        "qwen3-32b": "",
        "gemma-3-27b": "windows: 52 of 62 layers",
        "gpt-oss-120b": "windows: 18 of 36 layers",
        "mistral-7b": "windows: 32 of 32 layers",
        "deepseek-v3": "one latent for all heads",
    }
    words = real_models(found).words
    assert "takes 0.5 GiB (mistral-7b, 32,768 tokens) to 10.7 (deepseek-v3, 163,840)" in words


def test_each_models_line_ends_at_the_context_of_its_config():
    assert {name: memory.end[0] for name, memory in contexts().items()} == {
        "llama-3-70b": 8192,
        "llama-3-8b": 8192,
        "qwen3-32b": 40960,
        "gemma-3-27b": 131072,
        "gpt-oss-120b": 131072,
        "mistral-7b": 32768,
        "deepseek-v3": 163840,
    }


SMALL = {"vocab_size": 64, "context": 16, "n_layer": 2, "n_head": 2, "n_embd": 32}


def test_recorded_times_name_their_machine_and_are_read_back(tmp_path):
    times = record(2, SMALL, (4, 16), side=16, read=1024)
    times.save(tmp_path / "time.json")
    assert TimePerToken.load(tmp_path / "time.json") == times
    assert {"processor", "threads", "torch", "python"} <= set(times.machine)
    assert all(len(took) == 2 for of in times.seconds.values() for took in of.values())
    assert "16 tokens" in time_a_token(times).words


def test_a_time_is_the_median_of_its_rounds():
    rounds = {"none": {"8": [9.0, 1.0, 2.0]}, "dynamic": {"8": [0.1, 0.4, 0.2]}}
    times = TimePerToken({"processor": "P", "threads": 1, "torch": "T"}, SMALL, 1e12, 1e12, rounds)
    assert "takes 2.00 s without a cache, 0.200 s with one: 10 times less" in time_a_token(times).words


def test_the_least_time_is_work_over_speed():
    """For P = 12 L C^2 weights and a head: 2 P FLOPs a token, half of attention, and all weights read once."""
    weights, head = 12 * 2 * 32 * 32, 32 * 64
    slow_to_multiply = TimePerToken({}, SMALL, 1.0, 1e30, {})
    assert slow_to_multiply.least("none", 10) == 2 * 10 * weights + 2 * head + 4 * 2 * 32 * 55  # 1 + 2 + ... + 10
    assert slow_to_multiply.least("dynamic", 10) == 2 * weights + 2 * head + 4 * 2 * 32 * 10
    slow_to_read = TimePerToken({}, SMALL, 1e30, 1.0, {})
    assert slow_to_read.least("dynamic", 10) == 4 * (weights + head) + 11 * 2 * 2 * 32 * 4


def recording(shares, sizes):
    """Of all settings, with the share of 20 questions right and the bytes of the first key that is in its name."""
    made = []
    for setting in SETTINGS:
        share, nbytes = (
            next((number for part, number in of.items() if part in setting.name), other)
            for of, other in ((shares, 1.0), (sizes, 5000))
        )
        right = [round(20 * share)] * 8
        made.append(Score(setting, 20, right, nbytes, 2 * nbytes, 2.0 + share, 1 - share, (0.0, 0.1)))
    return dataclasses.replace(recorded_quality(), scores=made)


def test_the_plane_of_quality_finds_the_fewest_bytes_that_keep_the_recall():
    sizes = {"int8": 800, "int4": 400, "int2": 200, "int1": 100, "concat": 4000, "none": 0}
    sizes |= {"window 32": 300, "window 64": 420, "window 68": 900, "window": 950}
    found = recording({"int1": 0.0, "int2": 0.5, "window": 0.25}, sizes)
    picture = quality_against_bytes(found)
    assert picture.words == "4 bits, in 10% of float16's bytes: 100% of questions right; a window of 64, in 10%: 25%"
    assert "Points of 45 settings" in picture.alt
    assert "in 10% of the bytes (on the way 20%)" in picture.alt
    assert "2 bits 50%, 1 bit 0%, window 64 25%, window 68 25%" in recall_by_distance(found).alt


def test_the_recall_of_a_bin_is_drawn_over_the_whole_bin_and_what_coincides_once():
    """Exact, 8 and 4 bits are one line; the windows are another, with 2 bits."""
    found = recording({"int1": 0.0, "int2": 0.25, "window": 0.25}, {"int4": 400, "window 64": 500, "window": 900})
    steps = [each for each in recall_by_distance(found).axes[0].patches if isinstance(each, StepPatch)]
    assert [set(each.get_data().values) for each in steps] == [{100}, {25}, {0}]
    for each in steps:
        assert each.get_data().edges.tolist() == [*range(0, 401, 50)]


def test_labels_keep_their_order_and_distance_and_stay_as_near_as_they_can():
    assert spread([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.0, 0.5, 0.52, 0.54], 0.1) == pytest.approx([0.0, 0.42, 0.52, 0.62])


def test_the_committed_measurement_is_of_gpt_2_and_one_thread():
    from minigpt.show.plots.time_a_token import RECORDED

    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert recorded["model"] == GPT2
    assert recorded["machine"]["threads"] == 1


def test_titles_of_the_real_models_figures_are_computed_from_the_record():
    recording = recorded_real()
    two, window = rounded_to(2, recording.scores), window_as_large(recording.scores)
    prose, recall = prose_against_bytes(recording), recall_of_lines(recording)
    for key, value in (("channel", "token"), ("token", "token"), ("channel", "channel")):
        assert f" {two[key, value].more_bits:.2f}" in prose.words
    assert f"with a window as large as 2 bits {window.recall:.0%}" in recall.words
    # Other readings, other titles.
    other = dataclasses.replace(recording, readings=recording.readings[::-1])
    assert prose_against_bytes(other).words != prose.words
    assert recall_of_lines(other).words != recall.words


def test_the_real_models_marks_and_whiskers_stand_where_the_record_says():
    recording = recorded_real()
    (panel,) = prose_against_bytes(recording).axes
    marks = [tuple(place) for bars in panel.containers for place in bars[0].get_xydata().tolist()]
    whiskers = [each[:, 1].tolist() for bars in panel.containers for each in bars[2][0].get_segments()]
    by_mark = {(each.nbytes / 1e6, each.more_bits): each.more_bits_interval for each in recording.scores}
    assert sorted(marks) == sorted(by_mark)  # each setting once
    for mark, whisker in zip(marks, whiskers, strict=True):
        assert whisker == pytest.approx(by_mark[mark], abs=1e-12)
    names = {text.get_text() for text in panel.texts}
    assert names == {"exact", "8 bits", "4 bits", "2 bits", "1 bit", "746", "250"}


def test_every_layers_channels_are_drawn_with_the_middle_one_in_the_title():
    sizes = sizes_by_model()
    picture, (real, small) = largest_channels(sizes), sizes.values()
    for panel, part in zip(picture.axes, ("keys", "values"), strict=True):
        drawn = [line.get_ydata().tolist() for line in panel.lines]
        assert drawn[::2] == [real.largest(part), small.largest(part)]
        middle = sorted(real.largest(part))
        assert f"{(middle[14] + middle[15]) / 2:.1f} times" in picture.words
    assert min(real.largest("keys")) > max(small.largest("keys"))
