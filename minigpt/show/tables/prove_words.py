"""What `python -m minigpt prove` says of a table in words: what is wrong, breaks, is refused or rounds, and scripts."""

from collections.abc import Callable

from minigpt.proof.prove import Proof
from minigpt.proof.stories import longest_text
from minigpt.proof.verdict import BREAKS, REFUSES, ROUNDS, WRONG, Verdict

MEANING = (
    "Each cache lives through the stories of each situation; after each step its logits are held to those of an "
    "uncached run of the text that is left, in float64. exact: they are equal, to 1e-10. refuses: it raises an "
    "error, and is as it was. BREAKS: it raises one, and from then on refuses what it should take. WRONG: its "
    "logits are others, or it does what can't be done, and nothing says so. rounds: it keeps rounded numbers; its "
    "first chunk is exact, and what the others are off by is told, not judged. A dash: it has no such verb, or the "
    "situation can't arise for it."
)


def notes(proofs: list[Proof]) -> list[tuple[str, list[str]]]:
    """A title, and sentences: each says in which situations it is true, and of which caches."""
    kinds = {
        "What is silently wrong": (WRONG, error),
        "What breaks": (BREAKS, lambda verdict: verdict.how),
        "What is refused": (REFUSES, refusal),
        "What rounds": (ROUNDS, off),
    }
    found = [(title, sentences(proofs, kind, say)) for title, (kind, say) in kinds.items()]
    helpless = {f"{where}: {why}" for proof in proofs for where, why in proof.helpless.items() if where in proof.wrong}
    found.insert(1, ("What no cache of this interface can help (no failure, by the exit code)", sorted(helpless)))
    return [(title, said) for title, said in found if said]


def sentences(proofs: list[Proof], kind: str, say: Callable[[Verdict], str]) -> list[str]:
    situations: dict[tuple[str, str], list[str]] = {}
    for proof in proofs:
        for situation, each in proof.verdicts.items():
            if each.verdict == kind:
                situations.setdefault((proof.cache, say(each)), []).append(situation)
    caches: dict[tuple[str, str], list[str]] = {}
    for (cache, said), where in situations.items():
        caches.setdefault((", ".join(where), said), []).append(cache)
    return [f"{where}: {'; '.join(names)}: {said}" for (where, said), names in caches.items()]


def error(verdict: Verdict) -> str:
    by = "nothing is raised" if verdict.off is None else f"off by up to {verdict.off:.3g}"
    after = f", after a refused call ({verdict.how})" if verdict.how else ""
    return f"{by}, the first wrong token is {verdict.token}, after `{verdict.story}`{after}"


def refusal(verdict: Verdict) -> str:
    """The error, without the step, so that situations can share it."""
    return verdict.how.partition(": ")[2]


def off(verdict: Verdict) -> str:
    return f"off by up to {verdict.off:.2g}"


def scripts(proofs: list[Proof]) -> list[tuple[str, str]]:
    """For each situation, of the first cache that is wrong there; those that no cache can help come last."""
    found: dict[str, tuple[str, str]] = {}
    for proof in proofs:
        for situation in sorted(proof.wrong, key=proof.helpless.__contains__):
            found.setdefault(situation, (f"{situation}, {proof.cache}", proof.verdicts[situation].script))
    return list(found.values())


def verdict_of_all(proofs: list[Proof]) -> str:
    wrong = [proof.cache for proof in proofs if proof.wrong]
    useless = [proof.cache for proof in proofs if proof.serves_nothing]
    said = [f"Wrong somewhere: {'; '.join(wrong)}."] if wrong else []
    said += [f"Takes in no text at all: {'; '.join(useless)}."] if useless else []
    return " ".join(said) or f"Nothing is wrong, in texts of up to {longest_text()} tokens."
