"""What `python -m minigpt prove` shows: cache by situation, then what is refused and what is wrong, with scripts."""

import itertools
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

import torch
from rich.console import Console
from rich.syntax import Syntax

from minigpt.proof.prove import Proof
from minigpt.proof.reports import known
from minigpt.proof.stories import SITUATIONS, explained
from minigpt.proof.verdict import BREAKS, NOT_OFFERED, WRONG, Verdict
from minigpt.show.tables.layout import WIDTH, print_table, print_words, table_of
from minigpt.show.tables.prove_words import MEANING, notes, scripts, verdict_of_all

GAP = 2


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
    if told := [proof.verdicts[situation].story for proof in proofs for situation in proof.wrong]:
        print_words(explained(told), console)
    for title, script in scripts(proofs)[:1]:
        print_words(f"A script that shows {title}:", console)
        console.print()
        console.print(Syntax(script, "python", background_color="default"), soft_wrap=True)
    if others := [title for title, _ in scripts(proofs)[1:]]:
        print_words(f"--only SITUATION shows another's script ({'; '.join(others)}); --markdown shows all.", console)
    if missing := [f"{name} {said}" for name, said in versions_of(proved).items() if said.startswith("not ")]:
        print_words(f"{'; '.join(missing)}.", console)
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
        parts += ["## Scripts that show it", explained([*itertools.chain(*SITUATIONS.values())])]
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
        versions |= {name: installed(name) for name in ("transformers", "optimum-quanto", "hqq")}
    return versions


def installed(package: str) -> str:
    """Its version. Where a library that rounds is missing, transformers' cache that uses it is not proved."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed (and its cache not proved)"


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
