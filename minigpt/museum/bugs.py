"""The seeded bugs by what goes wrong: each was seen in public code, or is a character away from right."""

from collections.abc import Callable

from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.words_of_attention import WORDS as OF_ATTENTION
from minigpt.museum.words_of_caches import WORDS as OF_CACHES

BUGS: dict[str, BrokenCache | ChangedWord] = {
    what: ChangedWord(what, f"minigpt.{place}", old, new, tuple(caches))
    for what, place, old, new, *caches in [*OF_ATTENTION, *OF_CACHES]
}


def bug(cache: str, what: str) -> Callable[[type], type]:
    """A class below is the broken cache of that name."""

    def register(broken: type) -> type:
        BUGS[what] = BrokenCache(what, cache, broken)
        return broken

    return register
