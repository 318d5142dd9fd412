"""What a model remembers."""

import json

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import add_json, add_model, add_questions, add_seed, count
from minigpt.commands.opening import cache_name, check_knows_questions, open_model

SUMMARY = "ask a model memory questions: the bundled model's own, or any other's in plain English"

FIELDS = {
    "cache": "string: the cache through which the model read",
    "sees": "string: what each token sees through it, as: the last 64 tokens and the first 4",
    "questions": "integer: asked at each distance; in plain English tokens to predict",
    "recall": "object of numbers: the share answered right (0 to 1), by the largest distance, in tokens from the fact "
    'to the answer, as "50" for 1 to 50',
    "chance": "object of numbers: the share that a guess among the values in view gets right, likewise; in plain "
    "English the share that is right where nothing was read",
    "bits_per_byte": "number: the model's surprise at a text, in bits for each byte of UTF-8: at all that `train` held "
    "out (of the bundled model The Tempest); in plain English at passages of The Tempest, which it may have read",
    "prose_tokens": "integer: of that text",
}
Found = tuple[int, dict[int, float], dict[int, float], float, int]  # what FIELDS has after the first two
QUESTIONS, PASSAGES = 200, 1  # unless told otherwise
CACHE, PLAIN_CACHE = "none", "dynamic"  # a passage is long: with no cache each recital reads all of it


def declare(command):
    add_model(command)
    through = f"read through it (the bundled model {CACHE}, another {PLAIN_CACHE}); an unknown name lists all"
    command.add_argument("--cache", metavar="NAME", help=through)
    add_questions(command, QUESTIONS, least=1, of="of the bundled model, at each distance")
    plain = "another model reads passages of 4,000 tokens in plain English, whose lines are then begun again"
    command.add_argument("--passages", type=count, default=PASSAGES, metavar="N", help=f"{plain} (%(default)s)")
    add_seed(command, 0, "of the questions (%(default)s)")
    add_json(command, FIELDS)


def run(options) -> int:
    from minigpt.measure.counted.run import served_by
    from minigpt.recall.corpus import VOCABULARY
    from minigpt.show.tables.recall import report, report_plain
    from minigpt.show.terminal import Terminal
    from minigpt.show.words import in_view

    name = cache_name(options.cache) if options.cache else None
    model, folder = open_model(options)
    known = model.config.vocab_size == VOCABULARY
    name = name or (CACHE if known else PLAIN_CACHE)
    served = served_by(name, model)
    examine = taught if known else in_plain_english
    found = examine(served, folder, name, options)
    if options.json:
        sees = in_view(served.config.window, served.config.sinks)
        print(json.dumps(dict(zip(FIELDS, (name, sees, *found), strict=True))))
    else:
        (report if known else report_plain)(name, served.config, *found, Terminal())
    return EXIT_OK


def taught(model, folder, name: str, options) -> Found:
    """Of a model that `train` made: how many questions were asked, recall, chance, bits per byte, and of how many
    tokens."""
    from minigpt.recall.corpus import HELD_OUT_FILE, Text, held_out
    from minigpt.recall.exam import bits_per_byte, chance_by_distance, recall_by_distance

    check_knows_questions(model)
    own = folder / HELD_OUT_FILE  # in the model's own tokens
    text = Text.load(own) if own.exists() else held_out()
    questions, seed = options.questions, options.seed
    shares = recall_by_distance(model, name, questions, seed, text)
    chance = chance_by_distance(questions, seed, text)
    return questions, shares, chance, bits_per_byte(model, name, text), len(text.ids)


def in_plain_english(model, folder, name: str, options) -> Found:
    """The same of any other model, which finishes lines that it has read."""
    from minigpt.pretrained import load_tokenizer
    from minigpt.recall.plain_english import EACH, REST, bins_of
    from minigpt.recall.reading import recall_in_plain_english
    from minigpt.show.progress import progress_bars

    tokenizer, passages = load_tokenizer(folder), options.passages
    with progress_bars([name], passages) as on_passage:
        found = recall_in_plain_english(model, tokenizer, name, passages, options.seed, lambda: on_passage(name))
    return passages * EACH * REST, *found, passages * bins_of(model)[-1][1]
