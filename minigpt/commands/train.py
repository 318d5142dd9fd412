"""The bundled model, made anew."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_seed, threads
from minigpt.commands.out import check_folder

SUMMARY = "train the bundled model again, or one on your own text"


def declare(command):
    command.add_argument(
        "--out",
        type=Path,
        default=Path("runs/recall"),
        metavar="FOLDER",
        help="gets a checkpoint every 250 steps, from which the same command continues (%(default)s)",
    )
    command.add_argument("--data", type=Path, metavar="FILE", help="any UTF-8 text (default: Shakespeare's plays)")
    add_seed(command, 0, "of the first weights and of every batch (%(default)s)")
    command.add_argument(
        "--threads", type=threads, default=1, metavar="N", help="another number rounds differently (%(default)s)"
    )
    command.add_argument("--no-bfloat16", action="store_true", help="for a CPU without bfloat16, where it is slow")


def run(options) -> int:
    from minigpt.recall.train import train

    check_folder(options.out)
    if options.data and not options.data.is_file():
        raise ValueError(
            f"{options.data}: {'a folder' if options.data.is_dir() else 'no such file'}: name a UTF-8 text"
        )
    try:
        train(
            options.out,
            data=options.data,
            seed=options.seed,
            threads=options.threads,
            bfloat16=not options.no_bfloat16,
        )
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from error
    print(options.out)
    return EXIT_OK
