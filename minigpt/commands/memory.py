"""Bytes of real models' caches. Arithmetic alone: no part of it needs torch."""

import argparse
import json
import re
from fractions import Fraction
from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, count
from minigpt.measure.forms.memory import plans, summary
from minigpt.measure.forms.quantized import BITS
from minigpt.measure.forms.real_models import NAMES, load

SUMMARY = "count the bytes that each cache holds for a real model"

UNITS = {"B": 1}
for power, letter in enumerate("KMGT", 1):
    UNITS |= {f"{letter}iB": 1024**power, f"{letter}B": 1000**power}
MOST = 2**80  # bytes, more than any memory has

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
    command.add_argument(
        "model", metavar="MODEL", help=f"{', '.join(NAMES)}; or a config.json in Hugging Face's format, or its folder"
    )
    command.add_argument("--context", type=count, metavar="N", help="tokens of a row (default: all the model can read)")
    command.add_argument("--batch", type=count, default=1, metavar="N", help="rows (%(default)s)")
    command.add_argument("--bits", type=int, choices=BITS, help="of the quantized cache (default: each in turn)")
    command.add_argument(
        "--fits", type=size, metavar="SIZE", help="tell the longest context that fits, as 24GiB or 24GB"
    )
    command.add_argument("--chart", type=Path, metavar="FILE", help="draw bytes against context: a .svg or a .png")
    add_json(command, FIELDS)


def run(options) -> int:
    if options.chart and options.chart.suffix not in (".svg", ".png"):
        raise ValueError(f"--chart draws a .svg or a .png, got {options.chart}")
    model = load(options.model)
    tokens = options.context or model.context
    if tokens is None:
        raise ValueError(f"{options.model}: the config doesn't say how much the model can read: give --context N")
    bits = BITS if options.bits is None else (options.bits,)
    result = {"model": options.model} | summary(model, tokens, options.batch, bits, options.fits)
    if options.chart:
        draw(options, model, tokens, bits)
    if options.json:
        print(json.dumps(result))
    else:
        from minigpt.show.tables.memory import report
        from minigpt.show.terminal import Terminal

        report(result, Terminal())
    return EXIT_OK


def draw(options, model, tokens, bits):
    try:
        from minigpt.show.plots.memory_chart import memory_chart
    except ModuleNotFoundError as error:
        raise ValueError(f"charts are drawn with matplotlib: pip install matplotlib ({error})") from error

    name = Path(options.model.removesuffix("config.json")).name or options.model
    picture = memory_chart(name, plans(model, options.batch, bits), tokens, options.batch)
    picture.save(options.chart, options.chart.suffix[1:])


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
