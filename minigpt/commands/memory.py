"""Bytes of real models' caches. Arithmetic alone: no part of it needs torch."""

import argparse
import json
import re
from fractions import Fraction
from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, count
from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.memory import plans, summary
from minigpt.measure.forms.quantized import BITS
from minigpt.measure.forms.real_models import NAMES, load

SUMMARY = "count the bytes that each cache holds for a real model, or for several side by side"

UNITS = {"B": 1}
for power, letter in enumerate("KMGT", 1):
    UNITS |= {f"{letter}iB": 1024**power, f"{letter}B": 1000**power}
MOST = 2**80  # bytes, more than any memory has
THOUSANDS = {"": 1, "k": 1024, "m": 1024**2}  # of tokens

FIELDS = {
    "model": "string: as it was given",
    "layers": "integer: that keep keys and values",
    "layers_with_window": "integer: of these, that see only the last `window` tokens",
    "window": "integer or null: tokens, the widest of all layers (null: no layer has one)",
    "kept": (
        'object of objects: what a layer keeps of a token, by name, as "keys"',
        {"heads": "integer: how many", "size": "integer: numbers of a head"},
    ),
    "model_context": "integer or null: tokens that the model was made for (null: its config doesn't say)",
    "nbytes_per_token": "integer: bytes of one token's keys and values in 16 bits, in all layers",
    "nbytes_per_token_past_window": "integer: bytes that one more token adds where all windows are full",
    "context": "integer: tokens of a row",
    "batch": "integer: rows",
    "memory": "integer or null: bytes of --fits (null: not given)",
    "weights": "integer: bytes of --weights, which `memory` has to hold as well",
    "caches": (
        "list of objects: one for each cache that can serve the model, the quantized one for each number of bits",
        {
            "cache": "string: its name",
            "bits": "integer: of each number that it keeps",
            "nbytes": "integer: bytes held here, in the end",
            "nbytes_peak": "integer or null: the most bytes at any moment (null: depends on how the text is fed)",
            "nbytes_below": "integer: bytes held in slower memory",
            "nbytes_of_next_token": "integer: bytes here that one token more adds, fed in the same way",
            "longest_context": "integer or null: tokens of a row that fit into `memory` (null: any, or no --fits)",
        },
    ),
}


def declare(command):
    known = f"{', '.join(NAMES)}; or a config.json in Hugging Face's format, or its folder; several are compared"
    command.add_argument("models", nargs="+", metavar="MODEL", help=known)
    context = "tokens of a row, as 4096 or 128k: a k is 1,024, an m 1,024 k (default: as many as each model can read)"
    command.add_argument("--context", type=tokens, metavar="N", help=context)
    command.add_argument("--batch", type=count, default=1, metavar="N", help="rows (%(default)s)")
    command.add_argument("--bits", type=int, choices=BITS, help="of the quantized cache (default: each in turn)")
    command.add_argument(
        "--fits", type=size, metavar="SIZE", help="tell the longest context that fits, as 24GiB or 24GB"
    )
    weights = "of each model in turn, which --fits has to hold as well"
    command.add_argument("--weights", type=size, nargs="+", metavar="SIZE", help=weights)
    command.add_argument("--chart", type=Path, metavar="FILE", help="draw bytes against context: a .svg or a .png")
    command.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    command.add_argument("--csv", action="store_true", help="print a line for each cache instead, in plain numbers")
    add_json(command, FIELDS)


def run(options) -> int:
    check(options)
    models = [load(name) for name in options.models]
    context = options.context or min(map(readable, options.models, models))
    bits = BITS if options.bits is None else (options.bits,)
    weights = options.weights or [0] * len(models)
    results = [
        {"model": name} | summary(model, context, options.batch, bits, options.fits, its_weights)
        for name, model, its_weights in zip(options.models, models, weights, strict=True)
    ]
    if options.chart:
        draw(options, models[0], context, bits)
    show(options, results)
    return EXIT_OK


def readable(name: str, model: Architecture) -> int:
    if model.context is None:
        raise ValueError(f"{name}: the config doesn't say how much the model can read: give --context N")
    return model.context


def check(options):
    if options.chart and options.chart.suffix not in (".svg", ".png"):
        raise ValueError(f"--chart draws a .svg or a .png, got {options.chart}")
    if options.chart and len(options.models) > 1:
        raise ValueError(f"--chart draws one model, got {', '.join(options.models)}: call it for each")
    if options.weights is not None and options.fits is None:
        raise ValueError("--weights are taken from the memory of --fits: give --fits SIZE as well")
    if options.weights is not None and len(options.weights) != len(options.models):
        raise ValueError(f"--weights are one SIZE for each MODEL, got {len(options.weights)} for {len(options.models)}")
    if options.markdown + options.csv + options.json > 1:
        raise ValueError("--markdown, --csv and --json are each an output of its own: choose one")


def show(options, results: list[dict]) -> None:
    if options.json:
        print(json.dumps(results if len(results) > 1 else results[0]))
        return
    from minigpt.show.tables import memory
    from minigpt.show.terminal import Terminal

    if options.csv:
        print(memory.as_csv(results), end="")
    elif options.markdown:
        print(memory.as_markdown(results))
    else:
        memory.report(results, Terminal())


def draw(options, model, tokens, bits):
    try:
        from minigpt.show.plots.memory_chart import memory_chart
    except ModuleNotFoundError as error:
        raise ValueError(f"charts are drawn with matplotlib: pip install matplotlib ({error})") from error

    name = Path(options.models[0].removesuffix("config.json")).name or options.models[0]
    picture = memory_chart(name, plans(model, options.batch, bits), tokens, options.batch)
    picture.save(options.chart, options.chart.suffix[1:])


def tokens(text: str) -> int:
    """Tokens, also in thousands of 1,024, as the makers of models write a context."""
    match = re.fullmatch(r"([0-9]+)([kKmM]?)", text)
    if not match or int(match[1]) < 1:
        raise argparse.ArgumentTypeError(f"must be tokens, 1 or more, as 4096 or 128k (131,072), got {text}")
    return int(match[1]) * THOUSANDS[match[2].lower()]


def size(text: str) -> int:
    """The bytes of a size like 24GiB, rounded down."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text)
    if not match or match[2] not in UNITS or not (nbytes := int(Fraction(match[1]) * UNITS[match[2]])):
        raise argparse.ArgumentTypeError(
            f"must be a size with its unit, as 24GiB (24 x 2^30 bytes) or 24GB (24 x 10^9), got {text}"
        )
    if nbytes > MOST:
        raise argparse.ArgumentTypeError(f"must be {MOST // 2**40:,} TiB at most, got {text}")
    return nbytes
