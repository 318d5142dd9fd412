"""Who is how fast: time to the first token, and time a token."""

import argparse
import json
from dataclasses import replace
from functools import partial

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import DTYPES, add_caches, add_json, add_new_tokens, add_weights, count, counts
from minigpt.commands.bench_fields import FIELDS
from minigpt.commands.opening import cache_names, check_window, fitted

SUMMARY = "race caches and libraries: time to the first token, and time per token after it"


def declare(command):
    add_weights(command)
    command.set_defaults(streaming=False)  # no closed form says how much it computes
    command.add_argument(
        "--shape", metavar="NAME", help="instead of a model, random weights for any context: recall, small or gpt2"
    )
    command.add_argument("--dtype", type=dtypes, default="float32", help="or several: float32,bfloat16 (%(default)s)")
    command.add_argument("--batch", type=counts, default="1", metavar="N", help="rows, such as 1,4,16 (%(default)s)")
    command.add_argument(
        "--context", type=counts, default="64", metavar="N", help="tokens of the prompt, such as 128,512 or 64..8192"
    )
    add_new_tokens(command, default=32)
    command.add_argument("--rounds", type=count, default=9, metavar="N", help="in each, all take a turn (%(default)s)")
    add_caches(command)
    command.add_argument(
        "--compile", action="store_true", help="race them also with a compiled step, where that is possible"
    )
    command.add_argument(
        "--peer",
        nargs="+",
        default=[],
        metavar="NAME",
        help="libraries, with the same weights: transformers, transformers_static, transformers_compiled, ctranslate2",
    )
    command.add_argument(
        "--growth", action="store_true", help="time only a decode step, from a cache filled once (for long contexts)"
    )
    command.add_argument("--versus", nargs="+", metavar="NAME", help="compare with these (the first peer or cache)")
    add_json(command, FIELDS)


def dtypes(text: str) -> list[str]:
    if set(text.split(",")) - set(DTYPES):
        raise argparse.ArgumentTypeError(f"must be of {', '.join(DTYPES)}, with commas between, got {text!r}")
    return list(dict.fromkeys(text.split(",")))


def run(options) -> int:
    from minigpt.measure.timed.bench import bench, prompts
    from minigpt.measure.timed.machine import Speeds, machine
    from minigpt.measure.timed.summary import growth
    from minigpt.show.progress import progress_bars
    from minigpt.show.tables.bench import report
    from minigpt.show.terminal import Terminal

    contestants = open_contestants(options)
    names, model = [each.name for each in contestants], contestants[0].model
    versus = options.versus or [*options.peer, *names][:1]
    if unknown := [name for name in versus if name not in names]:
        raise ValueError(f"--versus {unknown[0]}: nobody of that name takes part; there are {', '.join(names)}")
    speeds = Speeds(model.device, list(dict.fromkeys(each.model.dtype for each in contestants)))
    pairs = [(batch, context) for batch in options.batch for context in options.context]
    steps = (options.rounds + 1) * (len(names) + len(speeds.calls))
    cells = []
    with progress_bars([told(*pair) for pair in pairs], steps) as advance:
        for pair in pairs:
            ids = prompts(model.config.vocab_size, *pair).to(model.device)
            cells.append(
                bench(
                    contestants,
                    ids,
                    options.new_tokens,
                    options.rounds,
                    speeds,
                    versus=versus,
                    decode_alone=options.growth,
                    on_turn=partial(advance, told(*pair)),
                )
            )
    result = {
        "model": options.shape or options.model,
        "random_weights": options.shape is not None,
        "new_tokens": options.new_tokens,
        "rounds": options.rounds,
        "versus": versus,
        "machine": machine(model.device),
        "cells": cells,
        "growth": growth(cells),
    }
    print(json.dumps(result, indent=1)) if options.json else report(result, Terminal())
    return EXIT_OK


def told(batch: int, context: int) -> str:
    return f"{batch} x {context:,}"


def open_contestants(options) -> list:
    """Our caches in each dtype, eager and compiled, then the peers, in the first dtype."""
    from minigpt.measure.timed.contestants import COMPILED, ours
    from minigpt.measure.timed.peers import peer

    if options.growth and options.peer:
        raise ValueError("--growth goes on from a filled cache, which no peer does: leave out --peer, or --growth")
    names, found = cache_names(options.cache), []
    models = open_models(options)
    for dtype, model in models.items():
        of = [ours(model, name) for name in names]
        of += [ours(model, name, compiled=True) for name in names if options.compile and name in COMPILED]
        found += [replace(each, name=f"{each.name} {dtype}") for each in of] if len(models) > 1 else of
    return found + [peer(name, next(iter(models.values()))) for name in dict.fromkeys(options.peer)]


def open_models(options) -> dict:
    """The model by dtype, the same weights in each."""
    import torch

    from minigpt.loading import load
    from minigpt.measure.timed.shapes import in_dtype, random_model

    check_window(options)
    if options.new_tokens < 2:
        raise ValueError(
            f"--new-tokens must be 2 or more, got {options.new_tokens}: the first comes with the prompt, and the "
            "others are decoded"
        )
    fed = max(options.context) + options.new_tokens - 1  # the last new token is never fed
    if options.shape is None:
        model = load(options.model, dtype=torch.float32, device=options.device)
    elif options.model != "recall":
        raise ValueError(f"--shape {options.shape} has random weights, --model {options.model} its own: give one")
    else:
        model = random_model(options.shape, fed, options.device)
    if fed > model.config.context:
        raise ValueError(
            f"{max(options.context)} tokens of --context and {options.new_tokens} new ones need a model that reads "
            f"{fed}, and {options.model} reads {model.config.context}: take fewer, or random weights with --shape"
        )
    model = fitted(model, options)
    return {dtype: in_dtype(model, getattr(torch, dtype)) for dtype in options.dtype}
