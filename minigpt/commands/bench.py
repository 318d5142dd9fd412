"""Tokens a second."""

import json

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_caches, add_json, add_model, add_new_tokens, count
from minigpt.commands.opening import cache_names, open_model, open_prompt

SUMMARY = "measure tokens a second"

FIELDS = {
    "versus": "string: the contestant with which the others are compared",
    "rounds": "integer: how many times each took its turn",
    "machine": (
        "object: what the times depend on",
        {
            "processor": "string: its architecture, or its name where Python knows it",
            "system": "string: as Linux",
            "python": "string: its version",
            "torch": "string: its version",
            "threads": "integer: of PyTorch, on the CPU",
        },
    ),
    "lines": (
        "list of objects: one for each contestant",
        {
            "name": "string: a cache, or the library",
            "tokens_per_second": "number: new tokens a second, prefill included, in the median round",
            "ratio": "number: how many times as fast as `versus`, the median of the rounds' ratios",
            "ratio_low": "number: the lowest of them",
            "ratio_high": "number: the highest of them",
        },
    ),
}


def declare(command):
    add_model(command)
    command.add_argument("--prompt", default="HAMLET.", help="the text to continue (short: nearly all is decode)")
    add_new_tokens(command, default=128)
    command.add_argument("--rounds", type=count, default=9, metavar="N", help="in each, all take a turn (%(default)s)")
    command.add_argument("--peer", choices=["transformers"], help="race against this library, with the same weights")
    add_caches(command)
    add_json(command, FIELDS)


def run(options) -> int:
    from minigpt.measure.timed.bench import bench, contestants, machine, summary
    from minigpt.show.tables.bench import report
    from minigpt.show.terminal import Terminal

    names = cache_names(options.cache)
    model, folder = open_model(options)
    _, ids = open_prompt(options, model, folder)
    calls = contestants(model, folder, ids, options.new_tokens, names, options.peer)
    seconds = bench(calls, options.rounds)
    versus = options.peer or names[0]
    lines = summary(seconds, options.new_tokens, len(ids), versus=versus)
    result = {"versus": versus, "rounds": options.rounds, "machine": machine(), "lines": lines}
    if options.json:
        print(json.dumps(result))
    else:
        report(result, Terminal())
    return EXIT_OK
