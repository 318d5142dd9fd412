"""The main job: one prompt under every cache."""

import json

from minigpt.commands import EXIT_DIFFERENT, EXIT_OK
from minigpt.commands.arguments import (
    add_caches,
    add_chat,
    add_json,
    add_model,
    add_new_tokens,
    add_questions,
    add_seed,
)
from minigpt.commands.company import add_parallel, company
from minigpt.commands.compare_fields import FIELDS
from minigpt.commands.opening import cache_names, open_model, open_prompt, workers

SUMMARY = "continue a prompt under every cache, and show what each saved"

PROMPT = """PROSPERO.
[Give Romeo ruby.]
[Give Ophelia lantern.]
Now my charms are all o'erthrown,
And what strength I have's mine own,
Which is most faint. Now, 'tis true,
I must be here confin'd by you,
[Give Romeo"""


def declare(command):
    add_model(command)
    command.add_argument("--prompt", default=PROMPT, help="the text to continue")
    add_chat(command)
    add_new_tokens(command, default=96)
    how = command.add_mutually_exclusive_group()
    add_seed(how, 0, "of the drawn text, the same for each cache (%(default)s)")
    how.add_argument("--greedy", action="store_true", help="take the likeliest token each time instead of drawing")
    add_caches(command)
    of = "memory questions for the bundled model, at each distance; 0: no table of what is forgotten"
    add_questions(command, default=6, least=0, of=of)
    add_parallel(command)
    add_json(command, FIELDS)


def run(options) -> int:
    names = cache_names(options.cache)
    if options.parallel:
        from minigpt.parallel.processes import own_device

        options.device = own_device(options.device)
    whole, folder = open_model(options)
    tokenizer, ids = open_prompt(options, whole, folder)
    with company(options, whole) as model:
        return compare_all(options, model, names, tokenizer, ids)


def compare_all(options, model, names, tokenizer, ids) -> int:
    from minigpt.measure.quality.compare import ROUNDS, compare, with_none
    from minigpt.measure.quality.quick_scores import quick_scores, settings_of
    from minigpt.show.progress import progress_bars
    from minigpt.show.short_text import short_text
    from minigpt.show.tables.compare import as_json, report
    from minigpt.show.tables.quick_scores import report_scores
    from minigpt.show.terminal import Terminal

    seed = None if options.greedy else options.seed
    with progress_bars(with_none(names), ROUNDS * options.new_tokens) as on_step:
        lines, uncached = compare(model, ids, options.new_tokens, names, seed, on_step)
    # Only the bundled model knows the questions, and it must see as far as they reach; they are asked in threads, which
    # can't share a process's place among others.
    knows = options.questions and options.model == "recall" and model.config.window is None and not options.parallel
    asked = settings_of(names) if knows else []
    scores = []
    if asked:
        with progress_bars([setting.name for setting in asked], 1) as on_step:
            count, all_at_once = options.questions, workers(options)
            scores = quick_scores(model, asked, count, lambda score: on_step(score.setting.name), all_at_once)
    if options.json:
        setting = {"model": options.model, "dtype": options.dtype, "device": options.device, "seed": seed}
        print(json.dumps(as_json(lines, scores, uncached, tokenizer, ids.shape[1], setting)))
    else:
        short = short_text(model, with_none(names), ids.shape[1], options.new_tokens)
        report(lines, uncached, short, tokenizer, ids.shape[1], Terminal())
        report_scores(scores, Terminal())
    return EXIT_OK if all(line.tokens_equal for line in lines) else EXIT_DIFFERENT
