"""A cache in a file: what goes on with it goes on as the first would have, or is refused."""

import pytest
import torch
from helpers import as_for_a_user
from safetensors.torch import save_file

from minigpt.cache import CACHES, CacheError, make_cache
from minigpt.cache.sharded import ShardedCache
from minigpt.parallel import Processes, by_positions
from minigpt.parallel.handover import load_cache, save_cache
from minigpt.proof.oracles import uncached
from minigpt.proof.sameness import assert_same
from minigpt.proof.situations import model, new_cache, pairs, pieces, text


@pytest.mark.parametrize("tokens", [0, 1, 20])
@pytest.mark.parametrize("pads", [[0], [0, 4]])
@pytest.mark.parametrize(("name", "rule"), [pair for pair in pairs() if not CACHES[pair[0]].lossy])
@torch.no_grad()
def test_it_goes_on_as_the_first_would_have(name, rule, pads, tokens, tmp_path):
    gpt, (ids, positions) = model(rule), text(pads, 25)
    cache = new_cache(name, gpt, len(pads))
    for piece in pieces(cache, 0, tokens) if tokens else []:
        gpt(ids[:, piece], positions[:, piece], cache)
    save_cache(cache, gpt, tmp_path / "kept")
    other = load_cache(tmp_path / "kept", gpt, name, **({"max_cache_len": 25} if "static" in name else {}))
    assert [*tmp_path.iterdir()] == [tmp_path / "kept"]
    want = uncached(gpt, ids, positions, None, None)
    for piece in pieces(other, tokens, 25):
        got = gpt(ids[:, piece], positions[:, piece], other)
        assert_same(got, want[:, piece], positions[:, piece], f"after {tokens} of a file", piece.start)


@torch.no_grad()
def test_what_a_ring_has_forgotten_no_other_cache_can_have(tmp_path):
    gpt, (ids, positions) = model("window"), text([0], 20)
    cache = new_cache("sliding_window", gpt, 1)
    for piece in pieces(cache, 0, 20):
        gpt(ids[:, piece], positions[:, piece], cache)
    save_cache(cache, gpt, tmp_path / "kept")
    for name, options in (("dynamic", {}), ("static", {"max_cache_len": 30}), ("sliding_window", {"chunk": 9})):
        with pytest.raises(CacheError, match="has forgotten what stood in them before"):
            load_cache(tmp_path / "kept", gpt, name, **options)


@pytest.mark.parametrize("rule", ["window", "window with sinks", "hybrid"])
@torch.no_grad()
def test_a_ring_from_a_file_goes_back_no_further_than_the_first(rule, tmp_path):
    """After a crop a ring holds fewer tokens than its length tells, and a file has no others."""
    gpt, (ids, positions) = model(rule), text([0], 24)
    cache = new_cache("sliding_window", gpt, 1)
    for piece in pieces(cache, 0, 24):
        gpt(ids[:, piece], positions[:, piece], cache)
    cache.crop(-6)
    save_cache(cache, gpt, tmp_path / "kept")
    for kept in (cache, load_cache(tmp_path / "kept", gpt, "sliding_window")):
        with pytest.raises(CacheError, match="take back at most 0"):
            kept.crop(-3)


@torch.no_grad()
def test_only_a_whole_text_that_is_kept_is_handed_over(tmp_path):
    gpt, (ids, _) = model(), text([0], 6)
    cut = by_positions(gpt, Processes(2, 1))
    part = ShardedCache(CACHES["static"], gpt.config, part=1, parts=2, block=2, dtype=torch.float64)
    part.serve(cut, 1)
    for cache, served, told in (
        (part, cut, "keeps the whole text can be handed over, not <"),
        (part, gpt, "keeps part 1 of 2 of a text, and the model joins part 0 of 1"),
        (make_cache("none", gpt.config), gpt, "keeps the whole text can be handed over, not <"),
    ):
        with as_for_a_user(), pytest.raises(CacheError, match=told):
            save_cache(cache, served, tmp_path / "kept")
    assert not [*tmp_path.iterdir()]
    cache = new_cache("dynamic", gpt, 1)
    gpt(ids, cache=cache)
    save_cache(cache, gpt, tmp_path / "kept")
    with pytest.raises(CacheError, match="a none cache keeps nothing"):
        load_cache(tmp_path / "kept", gpt, "none")


@torch.no_grad()
def test_a_part_serves_no_model_that_would_take_it_for_the_whole():
    gpt, (ids, _) = model(), text([0], 6)
    for part, parts, served in (
        (0, 2, gpt),
        (1, 2, by_positions(gpt, Processes(2, 0))),
        (0, 1, by_positions(gpt, Processes(2, 0))),
    ):
        cache = ShardedCache(CACHES["dynamic"], gpt.config, part=part, parts=parts, dtype=torch.float64)
        with pytest.raises(CacheError, match=f"keeps part {part} of {parts} of a text, and the model joins part 0 of"):
            served(ids, cache=cache)
        assert not cache.length


def test_what_is_no_such_file_is_refused(tmp_path):
    for write in (
        lambda path: save_file({"other": torch.zeros(1)}, path),
        lambda path: path.write_bytes(b"no safetensors"),
    ):
        write(tmp_path / "kept")
        with pytest.raises(CacheError, match="no cache that save_cache has written"):
            load_cache(tmp_path / "kept", model())
