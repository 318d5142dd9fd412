"""Arguments that several commands share."""

import argparse
import math
import os

from minigpt.commands.json_fields import described

DTYPES = "float32", "float64", "bfloat16", "float16"
MOST_QUESTIONS = 10_000  # at each distance: all are written before the first is asked


def add_model(command):
    add_weights(command)
    command.add_argument("--dtype", choices=DTYPES, default="float32", help="of weights and cache (%(default)s)")
    streaming = "count positions within the window and the sinks only: a Llama can then read past its context"
    command.add_argument("--streaming", action="store_true", help=streaming)


def add_weights(command):
    """Which model, and where it works; not in which dtype."""
    command.add_argument(
        "--model",
        default="recall",
        help="a folder with a GPT-2, Llama, Mistral, Qwen2 or Qwen3 in Hugging Face's format, or a name: %(default)s "
        "(the bundled GPT, the default), or one from the hub, such as gpt2",
    )
    command.add_argument("--window", type=count, metavar="N", help="let the model see only the last N tokens")
    command.add_argument("--sinks", type=from_zero, default=0, metavar="N", help="... and the first N (%(default)s)")
    command.add_argument("--device", default="cpu", help="cpu, cuda, ... (%(default)s)")
    command.add_argument(
        "--threads",
        type=threads,
        metavar="N",
        help="CPU threads (1 for a small model, else torch's choice)",
    )


def add_chat(command):
    command.add_argument(
        "--chat",
        action="store_true",
        help="put the prompt into the model's chat template (the bundled one has none; smollm2 has)",
    )


def add_new_tokens(command, default):
    command.add_argument(
        "--new-tokens",
        "--max-new-tokens",
        type=count,
        default=default,
        metavar="N",
        help="how many tokens to add (%(default)s)",
    )


def add_cache(command, default="dynamic"):
    command.add_argument(
        "--cache", default=default, metavar="NAME", help="which cache (%(default)s); an unknown name lists all"
    )


def add_caches(command):
    several = "which caches, separated by spaces (default: all); an unknown name lists all"
    command.add_argument("--cache", nargs="+", metavar="NAME", help=several)


def add_json(command, fields: dict, prints: str = "one object"):
    """fields: what the object holds, as json_fields has it. prints: of such objects."""
    command.add_argument("--json", action="store_true", help="print JSON instead (its fields: below)")
    command.epilog = described(fields, prints)


def add_questions(command, default: int, least: int, of: str):
    """of: whom is asked, and what."""

    def number(text: str) -> int:
        return whole_number(text, least, MOST_QUESTIONS)

    command.add_argument("--questions", type=number, default=default, metavar="N", help=f"{of} (%(default)s)")


def add_seed(command, default: int | None, of: str):
    """of: what it is the seed of."""
    command.add_argument("--seed", type=seed, default=default, metavar="N", help=of)


def count(text: str) -> int:
    return whole_number(text, 1)


def from_zero(text: str) -> int:
    return whole_number(text, 0)


def seed(text: str) -> int:
    return whole_number(text, 0, 2**63 - 1)  # more is too much for torch, less for numpy


def counts(text: str) -> list[int]:
    """1,4,16 are these; 64..8192 are 64, 128, 256, ..., 8192."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("..")
        if not all(end.isdecimal() and int(end) for end in (first, last or first)) or part.endswith("."):
            raise argparse.ArgumentTypeError(f"must be whole numbers, 1 or more, as 1,4,16 or 64..8192, got {text}")
        number, end = int(first), int(last or first)
        if number > end:
            raise argparse.ArgumentTypeError(f"must rise, as 64..8192, got {text}")
        while number <= end:
            found.append(number)
            number *= 2
    return list(dict.fromkeys(found))


def threads(text: str) -> int:
    return whole_number(text, 1, max(128, os.cpu_count() or 1))  # more than the system gives would end the process


def whole_number(text: str, least: int, most: int | None = None) -> int:
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise argparse.ArgumentTypeError(f"must be a whole number, {bounds}, got {text}")
    return int(text)


def above_zero(text: str) -> float:
    if not 0 < number(text) < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return number(text)


def share(text: str) -> float:
    if not 0 < number(text) <= 1:
        raise argparse.ArgumentTypeError(f"must be a number above 0, 1 at most, got {text}")
    return number(text)


def number(text: str) -> float:
    """NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
