"""What a model remembers."""

import json

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, add_model, count
from minigpt.commands.opening import cache_names, open_model

SUMMARY = "ask a model its memory questions, and measure its prose"


def declare(command):
    add_model(command)
    command.add_argument("--cache", default="none", metavar="NAME", help="read through this cache (%(default)s)")
    command.add_argument("--questions", type=count, default=200, metavar="N", help="for each distance (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of the questions (%(default)s)")
    add_json(command)


def run(options) -> int:
    from minigpt.measure.counted.run import served_by
    from minigpt.recall.exam import bits_per_byte, chance_by_distance, recall_by_distance
    from minigpt.show.tables.quality import report
    from minigpt.show.terminal import Terminal

    (name,) = cache_names([options.cache])
    model, _ = open_model(options)
    model = served_by(name, model)
    shares = recall_by_distance(model, name, options.questions, options.seed)
    chance = chance_by_distance(options.questions, options.seed)
    bits = bits_per_byte(model, name)
    if options.json:
        print(json.dumps({"cache": name, "recall": shares, "chance": chance, "bits_per_byte": bits}))
    else:
        report(name, shares, chance, bits, options.questions, Terminal())
    return EXIT_OK
