"""What a model remembers."""

import json

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, add_model, count
from minigpt.commands.opening import cache_names, open_model

SUMMARY = "ask a model its memory questions, and measure its prose"

FIELDS = {
    "cache": "string: the cache through which the model read",
    "questions": "integer: asked at each distance",
    "recall": "object of numbers: the share answered right (0 to 1), by the largest distance, in tokens from the fact "
    'to the answer, as "50" for 1 to 50',
    "chance": "object of numbers: the share that a guess among the values in view gets right, likewise",
    "bits_per_byte": "number: the model's surprise at prose that it never read, in bits for each byte of UTF-8",
}


def declare(command):
    add_model(command)
    command.add_argument("--cache", default="none", metavar="NAME", help="read through this cache (%(default)s)")
    command.add_argument("--questions", type=count, default=200, metavar="N", help="for each distance (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of the questions (%(default)s)")
    add_json(command, FIELDS)


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
        found = {"recall": shares, "chance": chance, "bits_per_byte": bits}
        print(json.dumps({"cache": name, "questions": options.questions, **found}))
    else:
        report(name, shares, chance, bits, options.questions, Terminal())
    return EXIT_OK
