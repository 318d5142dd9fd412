"""The bundled model, made anew."""

import sys
from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import count

SUMMARY = "make the bundled model anew, or one of your own text"


def declare(command):
    command.add_argument("--out", type=Path, default=Path("runs/recall"), metavar="FOLDER", help="(%(default)s)")
    command.add_argument("--data", type=Path, metavar="FILE", help="any UTF-8 text (default: Shakespeare's plays)")
    command.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    command.add_argument(
        "--threads", type=count, default=1, metavar="N", help="another number rounds otherwise (%(default)s)"
    )
    command.add_argument("--no-bfloat16", action="store_true", help="for a CPU without it, where it is slow")


def run(options) -> int:
    from minigpt.measure.quality import assess
    from minigpt.recall.train import train

    try:
        train(
            options.out,
            assess,
            data=options.data,
            seed=options.seed,
            threads=options.threads,
            bfloat16=not options.no_bfloat16,
        )
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from error
    except KeyboardInterrupt:
        print("the same command goes on from the last checkpoint (one every 250 steps)", file=sys.stderr)
        raise
    print(options.out)
    return EXIT_OK
