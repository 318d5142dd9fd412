"""What `python -m minigpt prove` shows: cache by situation, then what is refused and what is wrong, with scripts."""

from collections.abc import Callable
from dataclasses import asdict

import torch
from rich.console import Console
from rich.syntax import Syntax

from minigpt.proof.prove import Proof
from minigpt.proof.reports import known
from minigpt.proof.verdict import BREAKS, NOT_OFFERED, REFUSES, ROUNDS, WRONG, Verdict
from minigpt.show.tables.layout import WIDTH, print_table, print_words, table_of

GAP = 2
MEANING = (
    "Each cache lives through the stories of each situation; after each step its logits are held to those of an "
    "uncached run of the text that is left, in float64. exact: they are equal, to 1e-10. refuses: it raises an "
    "error, and is as it was. BREAKS: it raises one, and from then on refuses what it should take. WRONG: its "
    "logits are others, or it does what can't be done, and nothing says so. rounds: it keeps rounded numbers; its "
    "first chunk is exact, and what the others are off by is told, not judged. A dash: it has no such verb, or the "
    "situation can't arise for it."
)


def report(proved: str, proofs: list[Proof], console: Console) -> None:
    print_words(MEANING, console)
    for group in groups(proofs):
        heads, *rows = table(group)
        shown = table_of(*heads, gap=GAP)
        for row in rows:
            shown.add_row(*row)
        print_table(shown, console)
    for title, said in notes(proofs):
        print_words("\n".join([f"{title}:", *said]), console)
    for title, script in scripts(proofs):
        print_words(f"{title}:", console)
        console.print()
        console.print(Syntax(script, "python", background_color="default"), soft_wrap=True)
    print_words(verdict_of_all(proofs), console)


def as_markdown(proved: str, proofs: list[Proof]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in versions_of(proved).items())
    made = f"`python -m minigpt prove {proved} --markdown`, with {versions}."
    parts = [f"# The caches of {proved}, proved", made, MEANING]
    for group in groups(proofs):
        heads, *rows = table(group)
        heads = [heading.replace("\n", " ") for heading in heads]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]))
    for title, said in notes(proofs):
        parts += [f"## {title}", "\n".join(f"- {sentence}" for sentence in said)]
    if proved == "transformers":
        said = known([(proof.cache, situation) for proof in proofs for situation in proof.wrong])
        parts += ["## What is known of it", "\n".join(f"- {sentence}" for sentence in said)]
    if any(proof.wrong for proof in proofs):
        parts.append("## Scripts that show it")
    for title, script in scripts(proofs):
        parts += [f"{title}:", f"```python\n{script}\n```"]
    return "\n\n".join([*parts, verdict_of_all(proofs)])


def as_json(proved: str, proofs: list[Proof]) -> dict:
    caches = [
        {
            "cache": proof.cache,
            "situations": [{"situation": name} | asdict(each) for name, each in proof.verdicts.items()],
        }
        for proof in proofs
    ]
    return {"proved": proved, "versions": versions_of(proved), "caches": caches}


def versions_of(proved: str) -> dict[str, str]:
    versions = {"torch": str(torch.__version__)}
    if proved == "transformers":
        import transformers

        versions["transformers"] = transformers.__version__
    return versions


def groups(proofs: list[Proof]) -> list[list[Proof]]:
    """As many caches side by side as fit into the width."""
    first = max(len(situation) for situation in proofs[0].verdicts)
    found: list[list[Proof]] = [[]]
    for proof in proofs:
        if found[-1] and first + sum(width(each) for each in [*found[-1], proof]) > WIDTH:
            found.append([])
        found[-1].append(proof)
    return found


def width(proof: Proof) -> int:
    return GAP + max(map(len, [*heading(proof).split("\n"), *map(cell, proof.verdicts.values())]))


def heading(proof: Proof) -> str:
    return proof.cache.replace(", ", ",\n").replace("_", "_\n").replace(":", ":\n")


def table(proofs: list[Proof]) -> list[list[str]]:
    rows = [[name, *(cell(proof.verdicts[name]) for proof in proofs)] for name in proofs[0].verdicts]
    return [["", *map(heading, proofs)], *rows]


def cell(verdict: Verdict) -> str:
    return {WRONG: "WRONG", BREAKS: "BREAKS", NOT_OFFERED: "-"}.get(verdict.verdict, verdict.verdict)


def notes(proofs: list[Proof]) -> list[tuple[str, list[str]]]:
    """A title, and sentences: each says in which situations it is true, and of which caches."""
    kinds = {
        "What is silently wrong": (WRONG, error),
        "What breaks": (BREAKS, lambda verdict: verdict.how),
        "What is refused": (REFUSES, refusal),
        "What rounds": (ROUNDS, off),
    }
    found = [(title, sentences(proofs, kind, say)) for title, (kind, say) in kinds.items()]
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
    by = "no error" if verdict.off is None else f"off by up to {verdict.off:.3g}"
    after = f", after a refused call ({verdict.how})" if verdict.how else ""
    return f"{by}, the first wrong token is {verdict.token}, after `{verdict.story}`{after}"


def refusal(verdict: Verdict) -> str:
    """The error, without the step, so that situations can share it."""
    return verdict.how.partition(": ")[2]


def off(verdict: Verdict) -> str:
    return f"off by up to {verdict.off:.2g}"


def scripts(proofs: list[Proof]) -> list[tuple[str, str]]:
    """For each situation, of the first cache that is wrong there."""
    found: dict[str, tuple[str, str]] = {}
    for proof in proofs:
        for situation in proof.wrong:
            found.setdefault(situation, (f"{situation}, {proof.cache}", proof.verdicts[situation].script))
    return list(found.values())


def verdict_of_all(proofs: list[Proof]) -> str:
    wrong = [proof.cache for proof in proofs if proof.wrong]
    useless = [proof.cache for proof in proofs if proof.serves_nothing]
    said = [f"Wrong somewhere: {'; '.join(wrong)}."] if wrong else []
    said += [f"Takes in no text at all: {'; '.join(useless)}."] if useless else []
    return " ".join(said) or "Nothing is wrong."
