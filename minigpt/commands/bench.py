"""Tokens a second."""

import json

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_caches, add_json, add_model, add_new_tokens, count
from minigpt.commands.opening import cache_names, open_model, open_prompt

SUMMARY = "measure tokens a second"


def declare(command):
    add_model(command)
    command.add_argument("--prompt", default="HAMLET.", help="the text to continue (short: nearly all is decode)")
    add_new_tokens(command, default=128)
    command.add_argument("--rounds", type=count, default=9, metavar="N", help="in each, all take a turn (%(default)s)")
    command.add_argument("--peer", choices=["transformers"], help="race against this library, with the same weights")
    add_caches(command)
    add_json(command)


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
