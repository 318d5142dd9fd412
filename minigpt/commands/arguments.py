"""Arguments that several commands share."""

import argparse
import os

from minigpt.commands.json_fields import described

DTYPES = "float32", "float64", "bfloat16", "float16"


def add_model(command):
    add_weights(command)
    command.add_argument("--dtype", choices=DTYPES, default="float32", help="of weights and cache (%(default)s)")


def add_weights(command):
    """Which model, and where it works; not in which dtype."""
    command.add_argument(
        "--model",
        default="recall",
        help="a folder in Hugging Face's GPT-2 format, or a name: %(default)s, or one of the hub, as gpt2",
    )
    command.add_argument("--window", type=count, metavar="N", help="let the model see only the last N tokens")
    command.add_argument("--sinks", type=int, default=0, metavar="N", help="... and the first N (%(default)s)")
    command.add_argument("--device", default="cpu", help="cpu, cuda, ... (%(default)s)")
    command.add_argument(
        "--threads", type=threads, metavar="N", help="CPU threads (1 for a small model, else torch's choice)"
    )


def add_new_tokens(command, default):
    command.add_argument(
        "--new-tokens", type=count, default=default, metavar="N", help="how many tokens to add (%(default)s)"
    )


def add_caches(command):
    command.add_argument("--cache", nargs="+", metavar="NAME", help="which caches, with spaces between (default: all)")


def add_json(command, fields: dict):
    """fields: what the object holds, as json_fields has it."""
    command.add_argument("--json", action="store_true", help="print one JSON object instead (its fields: below)")
    command.epilog = described(fields)


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, got {text}")
    return int(text)


def counts(text: str) -> list[int]:
    """1,4,16 are these; 64..8192 are 64, 128, 256, ..., 8192."""
    found = []
    for part in text.split(","):
        ends = part.split("..", 1)
        number, last = count(ends[0]), count(ends[-1])
        while number <= last:
            found.append(number)
            number *= 2
    if not found:
        raise argparse.ArgumentTypeError(f"must rise, as 64..8192, got {text}")
    return list(dict.fromkeys(found))


def threads(text: str) -> int:
    number, most = count(text), max(128, os.cpu_count() or 1)  # more than the system gives would end the process
    if number > most:
        raise argparse.ArgumentTypeError(f"must be {most} or fewer, got {number}")
    return number
