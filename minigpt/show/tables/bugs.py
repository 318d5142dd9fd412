"""What `python -m minigpt bugs` shows: the list, or one bug with its code and a run."""

import textwrap
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.syntax import Syntax

from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.reports import REPORTS
from minigpt.museum.shown import ByCheck, ByStory, Seen, recorded
from minigpt.proof.stories import explained
from minigpt.proof.verdict import BREAKS, WRONG, Verdict
from minigpt.show.program import program
from minigpt.show.tables.layout import WIDTH, print_table, print_words, table_of

Bug = BrokenCache | ChangedWord
MEANING = (
    "Bugs that were planted on purpose, one at a time; each was seen in public code, or is one small slip away from "
    "right code. Below each: the shortest text that shows it, as a story, the first wrong token, and by how "
    "much a logit is off at most, in float64; and a public report of the same mistake, where one is known."
)


def report(bugs: list[Bug], console: Console) -> None:
    shown = recorded()
    print_words(f"{MEANING} {explained([by.story for by, _ in shown.values() if isinstance(by, ByStory)])}", console)
    for room, of_room in groupby(sorted(bugs, key=room_of), key=room_of):
        print_words(f"In {room}:", console)
        for bug in of_room:
            lines = [bug.what, f"  {in_words(*shown[bug.what])}"]
            lines += [f"  {REPORTS[bug.what].url}"] if bug.what in REPORTS else []
            console.print("\n".join(map(folded, lines)), markup=False, highlight=False, soft_wrap=True)
    seen_in_public = sum(bug.what in REPORTS for bug in bugs)
    print_words(
        f"{len(bugs)} bugs; {seen_in_public} have public reports. Words of one show its code and a run.", console
    )


def room_of(bug: Bug) -> str:
    """A cache, or a module."""
    return bug.where.partition(":")[0]


def folded(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)


def in_words(shown: ByStory | ByCheck, seen: Seen) -> str:
    token = "" if seen.token is None else f"token {seen.token}"
    off = "" if seen.token is None or seen.off is None else f"off by {seen.off:.2g}"
    return f"{shown}: {', '.join(filter(None, [token, off, seen.says]))}"


def report_one(bug: Bug, console: Console) -> None:
    """With a run; raises RuntimeError if that shows nothing."""
    shown, _ = recorded()[bug.what]
    seen = shown.run(bug)
    if seen is None:
        raise RuntimeError(f"{bug.what}: {shown} shows nothing; {program()} bugs --measure FILE finds what does")
    print_words(f"{bug.what}\n\nIn {bug.where}, its code:", console)
    console.print()
    console.print(Syntax(bug.code(), bug.language, background_color="default"), soft_wrap=True)
    if isinstance(shown, ByStory):
        print_words(
            f"The shortest text that shows it ({shown.cache}; who sees whom: {shown.rule}), and the largest error of a "
            f"logit so far. {explained([shown.story])}",
            console,
        )
        print_table(steps(bug, shown), console)
    print_words(in_words(shown, seen), console)
    if bug.what in REPORTS:
        print_words(f"Reported: {REPORTS[bug.what].said}\n{REPORTS[bug.what].url}", console)


def steps(bug: Bug, shown: ByStory):
    """The story, step by step, told to the right cache and to the broken one."""
    table = table_of("step", "right", "with the bug")
    words = shown.story.split("; ")
    parts = ["; ".join(words[:end]) for end in range(1, len(words) + 1)]
    told = [ByStory(shown.cache, shown.rule, part).told(bug) for part in parts]
    table.add_row(words[0], "", "")
    for step, before, now in zip(words[1:], told, told[1:], strict=False):
        table.add_row(step, *(cell(*each) for each in zip(before, now, strict=True)))
    return table


def cell(before: Verdict, now: Verdict) -> str:
    if now.verdict == BREAKS:
        return "BREAKS"
    if now.verdict == WRONG:
        return "WRONG" if now.off is None else f"WRONG, {now.off:.2g}"
    return "refuses" if now.how != before.how else f"{now.off:.2g}"


def as_json(bugs: list[Bug]) -> dict:
    shown = recorded()
    return {"bugs": [one(bug, *shown[bug.what]) for bug in bugs]}


def one(bug: Bug, shown: ByStory | ByCheck, seen: Seen) -> dict:
    by, report = asdict(shown), REPORTS.get(bug.what)
    return {
        "bug": bug.what,
        "where": bug.where,
        "code": bug.code(),
        **{key: by.get(key) for key in ("cache", "rule", "story")},
        "check": f"{shown}" if isinstance(shown, ByCheck) else None,
        "token": seen.token,
        "off": seen.off,
        "says": seen.says,
        "report": report and report.url,
        "reported": report and report.said,
    }
