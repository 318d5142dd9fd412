"""The museum of seeded bugs."""

import json
from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json
from minigpt.commands.bugs_fields import FIELDS
from minigpt.commands.out import check_file
from minigpt.show.program import program

SUMMARY = "show the bugs that the proof must notice, the shortest text that shows each, and public reports of it"


def declare(command):
    command.add_argument(
        "words",
        nargs="*",
        metavar="WORDS",
        help="of what goes wrong, or of where, such as: ring; if only one bug has them all, its code and a run are "
        "shown (default: the list)",
    )
    command.add_argument(
        "--measure", type=Path, metavar="FILE", help="find the shortest texts again (minutes), and record them there"
    )
    add_json(command, FIELDS)


def run(options) -> int:
    import torch

    from minigpt.museum import BUGS
    from minigpt.show.tables import bugs as tables
    from minigpt.show.terminal import Terminal

    torch.set_num_threads(1)  # the models are tiny: more would wait for each other
    if options.measure:
        measure(options)
        return EXIT_OK
    chosen = having(" ".join(options.words), BUGS)
    if options.json:
        print(json.dumps(tables.as_json(chosen)))
    elif len(chosen) == 1:
        tables.report_one(chosen[0], Terminal())
    else:
        tables.report(chosen, Terminal())
    return EXIT_OK


def having(words: str, bugs: dict) -> list:
    """The bug of that name, or all that have these words."""
    if words in bugs:
        return [bugs[words]]
    each = words.lower().split()
    found = [bug for bug in bugs.values() if all(word in f"{bug.what} ({bug.where})".lower() for word in each)]
    if not found:
        raise ValueError(f"no bug is named {words}, and none has these words; {program()} bugs lists them all")
    return found


def measure(options) -> None:
    if options.words or options.json:
        raise ValueError("--measure records all bugs: give neither WORDS nor --json")
    check_file(options.measure)
    from minigpt.museum import BUGS
    from minigpt.museum.record import record
    from minigpt.show.progress import progress_bars

    with progress_bars(["bugs"], len(BUGS)) as on_step:
        record(options.measure, lambda: on_step("bugs"))
