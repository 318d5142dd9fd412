"""Bytes of real models' caches. Arithmetic alone: no part of it needs torch."""

import json
from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, count
from minigpt.commands.memory_fields import FIELDS
from minigpt.commands.out import check_file
from minigpt.commands.sizes import size, tokens
from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.memory import plans, summary
from minigpt.measure.forms.quantized import BITS
from minigpt.measure.forms.real_models import NAMES, load

SUMMARY = "count the bytes that each cache holds for a real model, or for several side by side"


def declare(command):
    known = f"{', '.join(NAMES)}; or a config.json in Hugging Face's format, or its folder; several are compared"
    command.add_argument("models", nargs="+", metavar="MODEL", help=known)
    context = "tokens of a row, such as 4096 or 128k: k is 1,024, m is 1,024 k (default: all that each model can read)"
    command.add_argument("--context", type=tokens, metavar="N", help=context)
    command.add_argument("--batch", type=count, default=1, metavar="N", help="rows (%(default)s)")
    command.add_argument("--bits", type=int, choices=BITS, help="of the quantized cache (default: each in turn)")
    command.add_argument(
        "--fits", type=size, metavar="SIZE", help="print the longest context that fits into SIZE, such as 24GiB or 24GB"
    )
    weights = "bytes of weights, one SIZE for each model, subtracted from --fits"
    command.add_argument("--weights", type=size, nargs="+", metavar="SIZE", help=weights)
    command.add_argument("--chart", type=Path, metavar="FILE", help="draw bytes against context: a .svg or a .png")
    command.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    command.add_argument("--csv", action="store_true", help="print CSV instead: a line for each cache, plain numbers")
    add_json(command, FIELDS, "one object; of several models, a list of them")


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
    if options.chart:
        check_file(options.chart)
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
    options.chart.parent.mkdir(parents=True, exist_ok=True)
    picture.save(options.chart, options.chart.suffix[1:])
