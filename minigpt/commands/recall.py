"""What a model remembers."""

import json

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, add_model, add_seed, count
from minigpt.commands.opening import cache_name, check_knows_questions, open_model

SUMMARY = "ask a model memory questions, the bundled one's own or in plain English"

FIELDS = {
    "cache": "string: the cache through which the model read",
    "questions": "integer: asked at each distance",
    "recall": "object of numbers: the share answered right (0 to 1), by the largest distance, in tokens from the fact "
    'to the answer, as "50" for 1 to 50',
    "chance": "object of numbers: the share that a guess among the values in view gets right, likewise",
    "bits_per_byte": "number or null: the model's surprise at prose that it never read, in bits for each byte of UTF-8 "
    "(null: a model that `train` didn't make, which is asked in plain English)",
}
QUESTIONS, PLAIN_QUESTIONS = 200, 20  # unless told otherwise


def declare(command):
    add_model(command)
    command.add_argument("--cache", default="none", metavar="NAME", help="read through this cache (%(default)s)")
    few = f"for each distance ({QUESTIONS}; in plain English {PLAIN_QUESTIONS}, which are long)"
    command.add_argument("--questions", type=count, metavar="N", help=few)
    add_seed(command, 0, "of the questions (%(default)s)")
    add_json(command, FIELDS)


def run(options) -> int:
    from minigpt.measure.counted.run import served_by
    from minigpt.recall.corpus import VOCABULARY
    from minigpt.show.tables.quality import report
    from minigpt.show.terminal import Terminal

    name = cache_name(options.cache)
    model, folder = open_model(options)
    served = served_by(name, model)
    known = model.config.vocab_size == VOCABULARY
    questions = options.questions or (QUESTIONS if known else PLAIN_QUESTIONS)
    examine = taught if known else in_plain_english
    shares, chance, bits = examine(served, folder, name, questions, options.seed)
    if options.json:
        found = {"recall": shares, "chance": chance, "bits_per_byte": bits}
        print(json.dumps({"cache": name, "questions": questions, **found}))
    else:
        report(name, shares, chance, bits, questions, Terminal())
    return EXIT_OK


def taught(model, folder, name: str, questions: int, seed: int):
    """Recall, chance and bits per byte of a model that `train` made."""
    from minigpt.recall.corpus import HELD_OUT_FILE, Text
    from minigpt.recall.exam import bits_per_byte, chance_by_distance, recall_by_distance

    check_knows_questions(model)
    own = folder / HELD_OUT_FILE  # in the model's own tokens
    text = Text.load(own) if own.exists() else None
    shares = recall_by_distance(model, name, questions, seed, text)
    return shares, chance_by_distance(questions, seed, text), bits_per_byte(model, name, text)


def in_plain_english(model, folder, name: str, questions: int, seed: int):
    """Recall and chance of any other model. Which prose it never read, nobody knows here: no bits."""
    from minigpt.pretrained import load_tokenizer
    from minigpt.recall.plain_english import bins_of, recall_in_plain_english
    from minigpt.show.progress import progress_bars

    tokenizer, steps = load_tokenizer(folder), questions * len(bins_of(model))
    with progress_bars([name], steps) as on_step:
        found = recall_in_plain_english(model, tokenizer, name, questions, seed, lambda: on_step(name))
    return *found, None
