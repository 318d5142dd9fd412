"""A text, fed in chunks and then token by token: its logits are those of the oracle, however it is cut."""

import itertools

import torch

from minigpt.attention import NEVER
from minigpt.cache import CACHES
from minigpt.proof.oracles import expected
from minigpt.proof.sameness import assert_same, assert_same_text, hold, listed
from minigpt.proof.situations import (
    DECODE,
    LONG,
    LONG_SCHEDULES,
    PADDING,
    PROMPT,
    SCHEDULES,
    long_model,
    model,
    new_cache,
    pieces,
    sizes,
    text,
)

__tracebackhide__ = True  # a traceback shows the cache's lines, not those of its check


def told(fed: list[slice], piece: slice) -> str:
    """Which chunk of a schedule this is."""
    at = fed.index(piece)
    return f"after chunks of {listed(sizes(fed[:at])) or 0}, tokens {piece.start} to {piece.stop - 1}"


def schedule_equals_uncached(name, rule, heads, padding, schedule, options=None):
    """All logits of a text fed in these chunks, then decoded token by token, equal those of the oracle."""
    gpt, pads = model(rule, heads), PADDING[padding]
    ids, positions = text(pads, PROMPT + DECODE)
    cache, start, fed = new_cache(name, gpt, len(pads), options), 0, []
    for size in [*SCHEDULES[schedule], *[1] * DECODE]:
        end = min(start + size, PROMPT if start < PROMPT else PROMPT + DECODE)
        fed += pieces(cache, start, end)
        start = end
    with torch.no_grad():
        want = expected(name, gpt, ids, positions, sizes(fed), options)
        for piece in fed:
            # Without padding the positions are the cache's own to know.
            given = positions[:, piece] if padding != "plain" else None
            got = gpt(ids[:, piece], given, cache)
            assert_same(got, want[:, piece], positions[:, piece], told(fed, piece), piece.start)
    hold(start == PROMPT + DECODE, f"the schedule fed {start} tokens")
    assert_same_text(cache, ids, positions)


def long_text_equals_uncached(name, rule, chunks):
    """All logits of a long text, fed in these chunks, equal those of the oracle. The last one may be cut short."""
    gpt, (ids, positions) = long_model(rule), text([0, 5], LONG)
    cache, fed = new_cache(name, gpt, 2), []
    for start, size in zip([0, *itertools.accumulate(chunks)], chunks, strict=False):
        fed += pieces(cache, start, min(start + size, LONG))
    with torch.no_grad():
        want = expected(name, gpt, ids[:, : fed[-1].stop], positions[:, : fed[-1].stop], sizes(fed))
        for piece in fed:
            got = gpt(ids[:, piece], positions[:, piece], cache)
            assert_same(got, want[:, piece], positions[:, piece], told(fed, piece), piece.start)


def long_schedule_equals_uncached(name, rule, schedule):
    long_text_equals_uncached(name, rule, LONG_SCHEDULES[schedule])


def padded_rows_go_on_by_themselves(name, rule):
    """After a left-padded prefill the cache knows where each row goes on."""
    gpt, pads = model(rule), PADDING["ragged left padding"]
    ids, positions = text(pads, 16)
    cache = new_cache(name, gpt, 3)
    with torch.no_grad():
        fed = pieces(cache, 0, 12)
        want = expected(name, gpt, ids, positions, [*sizes(fed), 4])
        for piece in fed:
            gpt(ids[:, piece], positions[:, piece], cache)
        assert_same(gpt(ids[:, 12:], cache=cache), want[:, 12:], positions[:, 12:], "4 tokens after 12", 12)


def batch_row_equals_its_solo_run(name, rule):
    """A row of a left-padded batch generates what it generates alone; one that is rounded, what its oracle says."""
    gpt, pads = model(rule), PADDING["ragged left padding"]
    ids, positions = text(pads, 14)
    mask = (positions != NEVER).long()
    cache = new_cache(name, gpt, len(pads))
    together = gpt.generate(ids, mask, max_new_tokens=12, cache=cache, prefill_chunk_size=5)
    if CACHES[name].lossy:  # what is rounded goes by arrival, so a padded row differs from the same row alone
        with torch.no_grad():
            want = expected(name, gpt, together[:, :-1], cache.positions, [5, 5, 4, *[1] * 11])
        hold(torch.equal(together[:, 14:], want[:, 13:].float().argmax(-1)), "other tokens than the oracle's")
        return
    for row, pad in enumerate(pads):
        alone = gpt.generate(ids[row : row + 1, pad:], max_new_tokens=12, use_cache=False)
        hold(torch.equal(together[row, pad:], alone[0]), f"row {row} of the batch has other tokens than alone")
