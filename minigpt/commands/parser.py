"""The arguments of all commands."""

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable

from minigpt import __version__
from minigpt.commands import (
    EXIT_USAGE,
    bench,
    bugs,
    compare,
    fetch,
    figures,
    generate,
    lecture,
    memory,
    page,
    prove,
    quality,
    race,
    recall,
    train,
)
from minigpt.show.escapes import visible
from minigpt.show.program import program

COMMANDS = {
    "compare": compare,
    "generate": generate,
    "race": race,
    "recall": recall,
    "quality": quality,
    "bench": bench,
    "memory": memory,
    "prove": prove,
    "bugs": bugs,
    "fetch": fetch,
    "train": train,
    "figures": figures,
    "lecture": lecture,
    "page": page,
}


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """Exits: how it is used, what is wrong, and where more is told."""
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {visible(message)} ({self.prog} --help tells more)\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, and in `run` the command that takes them. Exits where they are wrong."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["compare", *arguments]  # the main job needs no name
    top, name = parser(), arguments[0]
    if not name.startswith("-") and name not in COMMANDS:
        top.error(f"no command is named {name}{nearest(name, COMMANDS) or '; there are ' + ', '.join(COMMANDS)}")
    options, unknown = top.parse_known_args(arguments)
    if unknown:
        own = options.command
        options_of_its_own = re.findall(r"--[a-z-]+", own.format_usage())
        own.error(f"{name} takes no {' '.join(unknown)}{nearest(unknown[0], options_of_its_own)}")
    return options


def nearest(word: str, known: Iterable[str]) -> str:
    """A question, if a known word is much like this one."""
    from difflib import get_close_matches

    close = get_close_matches(word.partition("=")[0], known, n=1, cutoff=0.75)
    return "".join(f": did you mean {each}?" for each in close)


def parser() -> Parser:
    top = Parser(
        prog=program(),
        description="A GPT that writes the same with a cache as without. Without a command: compare.",
        epilog="Exit codes: 0 done, 1 a cache and its oracle differ, 2 a bad argument or a failure, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"minigpt {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary = module.SUMMARY
        description = textwrap.fill(summary[0].upper() + summary[1:] + ".", shutil.get_terminal_size().columns - 2)
        as_written = argparse.RawDescriptionHelpFormatter
        command = commands.add_parser(name, help=summary, description=description, formatter_class=as_written)
        command.set_defaults(run=module.run, command=command)
        module.declare(command)
    return top
