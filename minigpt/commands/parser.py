"""The arguments of all commands."""

import argparse
import shutil
import textwrap

from minigpt import __version__
from minigpt.commands import bench, compare, figures, generate, lecture, memory, quality, race, recall, train

COMMANDS = {
    "compare": compare,
    "generate": generate,
    "race": race,
    "recall": recall,
    "quality": quality,
    "bench": bench,
    "memory": memory,
    "train": train,
    "figures": figures,
    "lecture": lecture,
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, and in `run` the command that takes them. Exits where they are wrong, as argparse does."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["compare", *arguments]  # the main job needs no name
    return parser().parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m minigpt",
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
        command.set_defaults(run=module.run)
        module.declare(command)
    return top
