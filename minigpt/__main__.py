"""The command line: which command, and its exit code. torch is imported only by the command that needs it, so that
--help answers at once."""

import argparse
import os
import sys

from minigpt import __version__
from minigpt.commands import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    bench,
    compare,
    figures,
    generate,
    memory,
    quality,
    recall,
    train,
)

COMMANDS = {
    "compare": compare,
    "generate": generate,
    "recall": recall,
    "quality": quality,
    "bench": bench,
    "memory": memory,
    "train": train,
    "figures": figures,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["compare", *arguments]  # the main job needs no name
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (ValueError, OSError, RuntimeError) as error:
        print(f"minigpt: {error}", file=sys.stderr)
        return EXIT_USAGE


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m minigpt",
        description="A GPT whose cached output is its uncached output. Without a command: compare.",
        epilog="Exit codes: 0 done, 1 a cache generated not what its oracle does, 2 wrong or failed, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"minigpt {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary = module.SUMMARY
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        command.set_defaults(run=module.run)
        module.declare(command)
    return top


if __name__ == "__main__":
    sys.exit(main())
