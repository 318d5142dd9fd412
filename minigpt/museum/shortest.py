"""The shortest story that shows a bug: the first of the proof's that does, from short to long, made shorter for as long
as it still does."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.shown import ByCheck, ByStory, first_check
from minigpt.proof.our_caches import house
from minigpt.proof.situations import LONG, NAMES, RULES
from minigpt.proof.stories import RULES_OF, SITUATIONS, steps_of

FEEDS = "feed", "decode", "generate", "fill"  # fill 0: all LONG slots
FROM_0 = {"rows", "fill", "select", "reorder"}  # what may have a 0


def shortest(bug: BrokenCache | ChangedWord) -> ByStory | ByCheck | None:
    """Where no story shows it, the first check that does. None if nothing does."""
    first = next((each for each in every_story([*bug.noticed_by] or NAMES) if each.run(bug)), None)
    return shortened(first, bug) if first else first_check(bug)


def shortened(shown: ByStory, bug: BrokenCache | ChangedWord) -> ByStory:
    """One of which none that is a step shorter still shows it."""
    shorter = (each for each in changed(shown) if size(each) < size(shown) and each.run(bug))
    better = next(shorter, None)
    return shown if better is None else shortened(better, bug)


def every_story(caches: list[str]) -> list[ByStory]:
    """Of these caches; the simple rules of who sees whom come first."""
    told = [
        ByStory(cache, rule, story)
        for cache in caches
        for rule in house(cache).rules
        for situation, stories in SITUATIONS.items()
        if rule in RULES_OF.get(situation, [rule])
        for story in stories
    ]
    return sorted(told, key=size)


def size(shown: ByStory) -> tuple[int, ...]:
    """Tokens that are fed, all numbers, rows, steps; then how simple it is who sees whom."""
    (_, pads, _), *steps = steps_of(shown.story)
    fed = sum(LONG * (verb == "fill") + numbers[0] for verb, numbers, _ in steps if verb in FEEDS)
    rule = [*RULES].index(shown.rule)
    return fed, sum(sum(map(abs, numbers)) for _, numbers, _ in steps) + sum(pads), len(pads), len(steps), rule


def changed(shown: ByStory) -> Iterator[ByStory]:
    """A simpler rule, a step left out, two feeds in one, a row less, a smaller number, a feed in two that feed less."""
    for rule in [*RULES][: [*RULES].index(shown.rule)]:
        yield replace(shown, rule=rule)
    words = [step.split() for step in shown.story.split("; ")]
    for at in range(1, len(words)):
        yield with_steps(shown, [*words[:at], *words[at + 1 :]])
    for at, (one, other) in enumerate(itertools.pairwise(words)):
        if one[0] == other[0] == "feed":
            both = ["feed", str(int(one[1]) + int(other[1]))]
            yield with_steps(shown, [*words[:at], both, *words[at + 2 :]])
    for place in range(1, len(words[0])):
        yield with_steps(shown, [words[0][:place] + words[0][place + 1 :], *words[1:]])
    for at, step in enumerate(words):
        for place, word in enumerate(step):
            for less in smaller(word, least=0 if FROM_0 & {*step} else 1):
                yield with_steps(shown, [*words[:at], [*step[:place], less, *step[place + 1 :]], *words[at + 1 :]])
    for at, (verb, *numbers) in enumerate(words):
        for less in smaller(numbers[-1], least=1) if verb == "feed" else []:
            first = int(less) - 1  # so that fewer are fed
            if first:
                yield with_steps(shown, [*words[:at], ["feed", str(first)], ["feed", "1"], *words[at + 1 :]])


def smaller(word: str, least: int) -> list[str]:
    """A number's half, and one less."""
    if not word.lstrip("-").isdecimal():
        return []
    number = int(word)
    return [str(each) for each in dict.fromkeys((number // 2, number - 1)) if least <= each < number]


def with_steps(shown: ByStory, words: list[list[str]]) -> ByStory:
    return ByStory(shown.cache, shown.rule, "; ".join(map(" ".join, words)))
