"""What a trace says of a run is what happened, as seen elsewhere: in the files, the tensors, the tokens."""

import pytest
import torch
from mutants import mutate

import minigpt.attention
import minigpt.measure.counted.trace
import minigpt.model
from minigpt.attention import NEVER
from minigpt.cache import CACHES, make_cache
from minigpt.cache.offloaded.files import File
from minigpt.measure.counted.flops import counting
from minigpt.measure.counted.recomputed import Recomputed, differences
from minigpt.measure.counted.trace import Tracer, trace
from minigpt.proof.oracles import OPTIONS
from minigpt.proof.situations import FULL, NAMES, model, new_cache, rule_for, text


def traced(name, pieces, gpt, cache=None):
    """The passes of a text fed in these pieces (ids and positions)."""
    cache = new_cache(name, gpt, len(pieces[0][0])) if cache is None else cache
    with torch.no_grad(), counting() as counter:
        tracer = Tracer(cache, gpt.config, counter)
        for ids, positions in pieces:
            gpt(ids, positions, tracer)
        return tracer.passes


@pytest.mark.parametrize("name", ["none", *NAMES])
def test_a_traced_run_is_the_run_that_generate_makes(name):
    gpt, (ids, _) = model(rule_for(name)), text([0, 0], 5)
    options = OPTIONS.get(name, {})
    run = trace(gpt, ids, 9, name, **options)
    how = {"use_cache": False} if name == "none" else {"cache_implementation": name, "cache_config": options}
    assert torch.equal(run.tokens, gpt.generate(ids, max_new_tokens=9, **how))
    assert [each.new for each in run.passes] == [*range(5, 14)] if name == "none" else [5, *[1] * 8]


def test_generate_takes_a_tracer_for_a_cache():
    gpt, (ids, _) = model(), text([0, 0], 5)
    with counting() as counter:
        tracer = Tracer(new_cache("dynamic", gpt, 2), gpt.config, counter)
        gpt.generate(ids, max_new_tokens=4, cache=tracer, prefill_chunk_size=3)
    assert [(each.past, each.new) for each in tracer.passes] == [(0, 3), (3, 2), (5, 1), (6, 1), (7, 1)]
    assert all(each.flops.mlp > 0 for each in tracer.passes)
    assert [each.flops.head > 0 for each in tracer.passes] == [False, True, True, True, True]


def test_the_passes_add_up_to_what_the_counter_says():
    gpt, (ids, _) = model(), text([0], 5)
    with torch.no_grad(), counting() as counter:
        tracer = Tracer(new_cache("quantized", gpt, 1), gpt.config, counter)
        gpt.generate(ids, max_new_tokens=20, cache=tracer)
    assert sum(each.flops.total for each in tracer.passes) == counter.get_total_flops()


def test_padding_takes_slots_and_is_of_no_use():
    gpt, (ids, positions) = model(), text([0, 3], 8)
    (only,) = traced("static", [(ids, positions)], gpt, make_cache(
        "static", gpt.config, batch_size=2, max_cache_len=10, dtype=torch.float64
    ))  # fmt: skip
    assert (only.slots, only.useful) == (2 * 10, 8 + 5)
    assert only.rows.sum(1).tolist() == [8 + 5] * 2
    assert only.rows[0, :9].tolist() == [2, 2, 2, 2, 2, 1, 1, 1, 0]
    assert only.pairs == 2 * (8 * 9 // 2 + 5 * 6 // 2), "in two layers"


def test_what_left_the_window_is_held_by_a_dynamic_cache_and_of_no_use():
    gpt, (ids, positions) = model("window with sinks"), text([0], 20)  # the last 6 and the first 2
    pieces = [(ids[:, :19], positions[:, :19]), (ids[:, 19:], positions[:, 19:])]
    prefill, decode = traced("dynamic", pieces, gpt)
    assert (prefill.slots, prefill.useful) == (19, 19)  # each is seen by itself
    assert (decode.slots, decode.useful) == (38, 8)
    assert decode.pairs == 2 * 8
    assert decode.scored == 2 * 20


def test_a_taken_back_token_is_of_no_use_until_another_takes_its_slot():
    gpt, (ids, positions) = model(), text([0], 8)
    cache = new_cache("dynamic", gpt, 1)
    traced("dynamic", [(ids[:, :6], positions[:, :6])], gpt, cache)
    cache.crop(-4)
    (again,) = traced("dynamic", [(ids[:, 2:3], positions[:, 2:3])], gpt, cache)
    assert (again.past, again.slots, again.useful) == (2, 6, 3)


@pytest.mark.parametrize("name", ["offloaded", "offloaded_static"])
def test_what_comes_up_and_goes_down_is_what_the_files_gave_and_took(name, monkeypatch):
    gpt, (ids, _) = model(), text([0, 0], 7)
    cache = new_cache(name, gpt, 2)
    passed = {"read": 0, "written": 0}
    read, write = File.read, File.write

    def counted_read(file, at, part):
        count = read(file, at, part)
        passed["read"] += count
        return count

    def counted_write(file, at, part):
        count = write(file, at, part)
        passed["written"] += count
        return count

    monkeypatch.setattr(File, "read", counted_read)
    monkeypatch.setattr(File, "write", counted_write)
    with counting() as counter:
        tracer = Tracer(cache, gpt.config, counter)
        gpt.generate(ids, max_new_tokens=20, cache=tracer)
    for coming in cache.storage.near.values():
        coming.result()  # the last prefetch
    assert sum(sum(each.up) for each in tracer.passes) == passed["read"] > 0
    assert sum(sum(each.down) for each in tracer.passes) == passed["written"] > 0


def test_select_and_fork_go_on_counting_what_moved():
    gpt, (ids, positions) = model(), text([0, 0], 7)
    cache = new_cache("offloaded", gpt, 2)
    with torch.no_grad():
        gpt(ids, positions, cache)
    up, down = cache.moved
    cache.select([1])
    token = cache.nbytes // cache.room
    assert cache.moved == (up + 2 * 7 * token, down + 7 * token)


@pytest.mark.parametrize("name", NAMES)
def test_a_slot_is_written_with_what_it_holds_or_copied(name):
    """In caches that have just what they need, every byte held was moved there in the last pass. The others hold no
    more than all that was ever moved there, and empty slots."""
    gpt, (ids, _) = model(rule_for(name)), text([0, 0], 7)
    passes = trace(gpt, ids, 8, name, **OPTIONS.get(name, {})).passes
    assert all(each.nbytes >= each.resident[-1] for each in passes)
    if name == "concat":
        assert all(sum(each.written) + sum(each.copied) == each.nbytes for each in passes)
    row = 2 * 2 * 4 * 8 * 8 * 2  # keys and values of 2 rows, 4 heads of 8 channels, 8 bytes, 2 layers
    if not CACHES[name].lossy:
        assert [sum(each.written) for each in passes] == [each.new * row for each in passes]


def test_computed_again_a_row_is_what_it_was():
    gpt, (ids, _) = model(), text([0, 0], 5)
    difference = differences(gpt, ids, 6, "none")
    assert difference.shape == (6, 2, 10)
    assert difference[0].isnan().all()
    for step in range(1, 6):
        assert (difference[step, :, : 4 + step] < 1e-12).all()
        assert difference[step, :, 4 + step :].isnan().all()


@pytest.mark.parametrize("name", FULL)
def test_with_a_cache_nothing_is_computed_again(name):
    gpt, (ids, _) = model(), text([0, 0], 5)
    assert differences(gpt, ids, 6, name).isnan().all()


def test_were_the_future_seen_old_rows_would_change_above_the_first_layer(monkeypatch):
    """So the difference is one that can be seen: the first layer's rows depend on their own token alone."""
    mutate(monkeypatch, minigpt.attention, "sees", "k <= q", "(k <= q) | (k != NEVER)", [minigpt.model])
    gpt, (ids, _) = model(), text([0, 0], 5)
    difference = differences(gpt, ids, 3, "none")
    assert (difference[1:, 0, :5] < 1e-12).all()
    assert (difference[1:, 1, :5] > 1e-3).all()


def test_a_difference_is_that_of_the_row_of_the_batch_that_differs_most():
    gpt, (ids, positions) = model(), text([0, 2], 5)
    other = ids.clone()
    other[1, 3] = (other[1, 3] + 1) % 53  # position 1 of the second row
    observer = Recomputed(make_cache("none", gpt.config), gpt.config)
    with torch.no_grad():
        gpt(ids, positions, observer)
        gpt(other, positions, observer)
    assert (observer.difference[0, :5] > 1e-3).tolist() == [False, True, False, False, False]
    assert observer.difference[:, 5:].isnan().all()
    assert (positions == NEVER).sum() == 2
