"""Proves a cache: tells it every story, and says what each situation shows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from minigpt.proof.houses import house_of
from minigpt.proof.stories import RULES_OF, SITUATIONS
from minigpt.proof.tell import tell
from minigpt.proof.verdict import BREAKS, NOT_OFFERED, REFUSES, WRONG, Verdict, worst


@dataclass(frozen=True)
class Proof:
    """cache: its name. verdicts: by situation. helpless: in which no cache of its interface can be right, and why."""

    cache: str
    verdicts: dict[str, Verdict]
    helpless: dict[str, str]

    @property
    def wrong(self) -> list[str]:
        """The situations in which it is silently wrong, or breaks."""
        return [situation for situation, each in self.verdicts.items() if each.verdict in (WRONG, BREAKS)]

    @property
    def to_mend(self) -> list[str]:
        """Those of them in which a cache of its interface can be right."""
        return [situation for situation in self.wrong if situation not in self.helpless]

    @property
    def serves_nothing(self) -> bool:
        """Whether it refuses even an ordinary prompt, as one that always crashes does."""
        return "prefill" in self.verdicts and self.verdicts["prefill"].verdict == REFUSES


def prove(make: Callable, situations: Iterable[str] = SITUATIONS) -> Proof:
    """What a cache does in every situation: exact, rounds, refuses, breaks, wrong (in silence), or not offered.

    make: a function or a class of (config, batch_size, dtype, device), called with the last three by name. The cache
    that it gives has our interface (minigpt.cache.KVCache), or transformers', inside one of whose models it is then
    driven. situations: which, by their names in minigpt/proof/stories.py. Raises ValueError where `make` gives neither.
    """
    return prove_house(getattr(make, "__name__", repr(make)), house_of(make), situations)


def prove_house(name: str, house, situations: Iterable[str] = SITUATIONS, on_step: Callable = lambda: None) -> Proof:
    """house: an Ours or a Theirs. on_step: called after each situation."""
    situations = [situations] if isinstance(situations, str) else list(situations)
    if unknown := [each for each in situations if each not in SITUATIONS]:
        raise ValueError(f"no situation is named {', '.join(unknown)}; there are {', '.join(SITUATIONS)}")
    verdicts = {}
    for situation in situations:
        verdicts[situation] = verdict(house, situation)
        on_step()
    return Proof(name, verdicts, house.helpless)


def verdict(house, situation: str) -> Verdict:
    rules = [rule for rule in house.rules if rule in RULES_OF.get(situation, house.rules)]
    told = [tell(house, rule, story) for rule in rules for story in SITUATIONS[situation]]
    return worst(told) if told else Verdict(NOT_OFFERED, "", "")
