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
    add_json(command)


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
