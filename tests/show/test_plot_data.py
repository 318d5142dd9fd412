"""What the figures show is what happened: their numbers against closed forms, and titles that follow the data."""

import dataclasses
import json

import pytest
import torch
from matplotlib.patches import StepPatch

from minigpt.attention import NEVER
from minigpt.config import GPTConfig
from minigpt.measure.forms.flops import Flops, cached_flops, uncached_flops
from minigpt.measure.forms.real_models import GPT2
from minigpt.measure.quality.scores import Score
from minigpt.measure.quality.settings import SETTINGS
from minigpt.measure.timed.time_per_token import TimePerToken, record
from minigpt.show.plots.bytes_held import bytes_held, held
from minigpt.show.plots.flops import flops, work
from minigpt.show.plots.growth import growing_weights, growth
from minigpt.show.plots.labels import spread
from minigpt.show.plots.ladder import ladder, moves
from minigpt.show.plots.models import contexts, real_models
from minigpt.show.plots.prompt import NEW, prompt
from minigpt.show.plots.quality import quality_against_bytes
from minigpt.show.plots.recall import recall_by_distance
from minigpt.show.plots.recorded import recorded_quality
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
    for dtype, most in (("float32", 1e-4), ("float64", 1e-12)):
        rows = found.differences[dtype]
        for step in range(NEW):
            again = torch.arange(rows.shape[1]) < (length + step - 1 if step else 0)
            assert torch.equal(~rows[step].isnan(), again)
        assert 0 < rows.nan_to_num().max() < most
    found.differences["float32"][3, 2] = 0.02
    assert "less than 10⁻¹ in float32" in sameness(found).words


def test_the_rows_of_attention_are_softmaxes_and_the_title_notices_one_that_changes():
    steps = growing_weights()
    for count, weights in enumerate(steps, start=1):
        assert weights.shape == (count, count)
        assert torch.equal(weights, weights.tril())
        assert torch.allclose(weights.sum(1), torch.ones(count, dtype=torch.float64), atol=1e-12)
    steps[2][1, 0] += 0.003
    assert "stay what they were, to less than 10⁻²" in growth(steps).words


def test_bytes_held_are_those_of_the_caches_closed_forms():
    found = held(tokens=200, chunk=50)
    rounded = 2 * 12 * 12 * (64 // 2 + 2 + 2)  # a token in 4 bits, and a scale and an offset for each of its heads
    assert {name: nbytes[-1] for name, nbytes in found.nbytes.items()} == {
        "concat": 200 * ROW,
        "dynamic": 200 * ROW,
        "static": 1024 * ROW,
        "sliding_window": (256 + 50 - 1 + 4) * ROW,
        "quantized": (128 + 50) * ROW + 22 * rounded,  # when the last 50 came, the newest 128 were exact
        "offloaded": 200 * ROW * 2 // 12,
        "offloaded_static": 1024 * ROW * 2 // 12,
    }
    assert "200 tokens of GPT-2 need 7.4 MB" in bytes_held(found).words


def test_a_ring_holds_what_a_query_sees_and_the_title_counts_what_it_misses():
    found = turns()
    assert found.held.shape == (14, 7)
    for step, there in enumerate(found.held):
        seen = {position for position in range(step + 1) if position > step - 5 or position < 2}
        assert seen <= set(there.tolist()) - {NEVER}
    assert "it forgets 7 of 14 tokens, and none that a query should see" in ring(found).words
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
    assert "2 of 12 layers are here at a time" in ladder(found).words


def test_flops_of_all_tokens_add_up_to_the_closed_forms_of_a_generation():
    how = {"attention": "causal", "logits": "last"}
    shown = work()
    assert sum(shown.without, Flops()) == uncached_flops(GPTConfig(**GPT2), 128, 512, **how)
    assert sum(shown.cached, Flops()) == cached_flops(GPTConfig(**GPT2), 128, 512, **how)
    assert "35.0 TFLOP without a cache, 0.156 with one, 225 times fewer" in flops(shown).words


def test_real_models_keep_what_their_layers_say():
    """At 131,072 tokens: Llama-3 70B 80 layers x 8 heads x 128, Mistral a window of 4096, DeepSeek-V3 576 numbers."""
    found = {name: memory.nbytes[131072] for name, memory in contexts().items()}
    assert found["llama-3-70b"] == 131072 * 2 * 80 * 8 * 128 * 2
    assert found["mistral-7b"] == 4096 * 2 * 32 * 8 * 128 * 2
    assert found["deepseek-v3"] == 131072 * 61 * 576 * 2
    kinds = {name: memory.kind for name, memory in contexts().items()}
    assert (kinds["llama-3-8b"], kinds["gemma-3-27b"], kinds["deepseek-v3"]) == ("all", "window", "latent")
    assert "llama-3-70b keeps 40.0 and mistral-7b 0.5 GiB" in real_models(contexts()).words


SMALL = {"vocab_size": 64, "context": 16, "n_layer": 2, "n_head": 2, "n_embd": 32}


def test_recorded_times_name_their_machine_and_are_read_back(tmp_path):
    times = record(2, SMALL, (4, 16), side=16, read=1024)
    times.save(tmp_path / "time.json")
    assert TimePerToken.load(tmp_path / "time.json") == times
    assert {"processor", "threads", "torch", "python"} <= set(times.machine)
    assert all(len(took) == 2 for of in times.seconds.values() for took in of.values())
    assert "16 tokens" in time_a_token(times).words


def test_the_least_time_is_work_over_speed():
    """For P = 12 L C^2 weights and a head: 2 P FLOPs a token, dense attention, and all weights read once."""
    weights, head = 12 * 2 * 32 * 32, 32 * 64
    slow_to_multiply = TimePerToken({}, SMALL, 1.0, 1e30, {})
    assert slow_to_multiply.least("none", 10) == 2 * 10 * weights + 2 * head + 4 * 2 * 32 * 10 * 10
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
