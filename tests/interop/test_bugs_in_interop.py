"""Mistakes that an adapter could make, one at a time: the tests beside this one notice each."""

import pytest
import test_families
import test_ours_there
import test_quantized_there
import test_theirs_here
import torch
from families import transformers

from minigpt.interop import coming, ours_there
from minigpt.interop.ours_there import CacheOfOurs


def reorder_forgets_the_values(patch):
    def reorder(self, beam_idx):
        values = [layer[1] for layer in self.cache.kv]
        self.cache.select(beam_idx.long())
        self.cache.kv = [(keys, old, *rest) for (keys, _, *rest), old in zip(self.cache.kv, values, strict=True)]

    patch.setattr(CacheOfOurs, "reorder_cache", reorder)


def the_window_is_one_short(patch):
    def mask_sizes(self, layer, length, new):
        window = self.cache.config.windows[layer]
        seen = length if window is None else min(length, window + new - 2)
        return seen, length - seen

    patch.setattr(CacheOfOurs, "mask_sizes", mask_sizes)


def the_mask_is_one_short(patch):
    sizes = CacheOfOurs.get_mask_sizes

    def mask_sizes(self, query_length, layer_idx):
        seen, before = sizes(self, query_length, layer_idx)
        return seen, before + 1

    patch.setattr(CacheOfOurs, "get_mask_sizes", mask_sizes)


def positions_are_ignored(patch):
    def as_slots_are(kept, cache, newest):
        keys, values, _ = kept
        return keys[:, newest.start - newest.stop :], values[:, newest.start - newest.stop :]

    patch.setattr(ours_there, "as_they_came", as_slots_are)


def padding_is_not_announced(patch):
    positions = coming.positions_of
    patch.setattr(ours_there, "positions_of", lambda cache, rows, new, mask, _: positions(cache, rows, new, None, None))


def a_crop_is_one_short(patch):
    patch.setattr(CacheOfOurs, "crop", lambda self, count: self.cache.crop(min(0, count + 1)))


def ids_are_not_announced(patch):
    told = CacheOfOurs.announce

    def announce_without(self, model, ids, embeddings, mask, positions):
        told(self, model, ids, embeddings, mask, positions)
        thread, at, _ = self.coming
        at = torch.arange(ids.shape[1]).expand(ids.shape) + self.cache.length if at is None else at
        self.coming = thread, at, None

    patch.setattr(CacheOfOurs, "announce", announce_without)


def their_keys_are_taken_for_the_first_tokens(patch):
    sizes = transformers.Cache.get_mask_sizes
    patch.setattr(transformers.Cache, "get_mask_sizes", lambda self, new, layer: (sizes(self, new, layer)[0], 0))


def their_rows_are_not_reordered(patch):
    patch.setattr(transformers.Cache, "reorder_cache", lambda self, beam_idx: None)


def their_tokens_are_not_taken_back(patch):
    patch.setattr(transformers.cache_utils.DynamicLayer, "crop", lambda self, count: None)


theirs_logits = test_theirs_here.test_logits_equal_the_uncached_run
theirs_verbs = test_theirs_here.test_every_verb_leaves_what_an_uncached_run_of_the_rest_gives_or_refuses
logits = test_families.test_logits_in_chunks_with_left_padding_equal_the_uncached_run
beams = test_ours_there.test_beams_of_a_left_padded_batch_are_those_without_a_cache
verbs = test_ours_there.test_every_verb_leaves_what_an_uncached_run_of_the_rest_gives
reuse = test_ours_there.test_another_text_is_refused_before_any_work
rounding = test_quantized_there.equals_the_oracle


BUGS = [
    (reorder_forgets_the_values, beams, ["dynamic"]),
    (the_window_is_one_short, logits, ["mistral", "dynamic"]),
    (the_window_is_one_short, logits, ["olmo3", "sliding_window"]),
    (the_mask_is_one_short, logits, ["llama", "dynamic"]),
    (positions_are_ignored, logits, ["mistral", "sliding_window"]),
    (positions_are_ignored, logits, ["llama", "static"]),
    (padding_is_not_announced, rounding, ["kivi"]),
    (a_crop_is_one_short, verbs, ["dynamic"]),
    (ids_are_not_announced, reuse, []),
    (their_keys_are_taken_for_the_first_tokens, theirs_logits, ["sliding", False, "one at a time"]),
    (their_rows_are_not_reordered, theirs_verbs, ["static"]),
    (their_tokens_are_not_taken_back, theirs_verbs, ["dynamic"]),
]


@pytest.mark.parametrize(("bug", "check", "of"), BUGS, ids=lambda each: getattr(each, "__name__", str(each)))
def test_the_tests_notice(bug, check, of, monkeypatch):
    check(*of)
    bug(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)):
        check(*of)
