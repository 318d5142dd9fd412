"""The main job: one prompt under every cache."""

import json

from minigpt.commands import EXIT_DIFFERENT, EXIT_OK
from minigpt.commands.arguments import add_caches, add_json, add_model, add_new_tokens, count
from minigpt.commands.opening import cache_names, open_model, open_prompt

SUMMARY = "continue a prompt under every cache, and show what each saved"

PROMPT = """PROSPERO.
[Give Romeo ruby.]
[Give Ophelia lantern.]
Now my charms are all o'erthrown,
And what strength I have's mine own,
Which is most faint. Now, 'tis true,
I must be here confin'd by you,
[Give Romeo"""


FIELDS = {
    "setting": (
        "object: what was run",
        {
            "model": "string: as --model",
            "dtype": "string: of weights and cache",
            "device": "string: as --device",
            "seed": "integer or null: of the drawn text (null: greedy)",
            "threads": "integer: of PyTorch, on the CPU",
            "torch": "string: its version",
        },
    ),
    "prompt": "string: the text that was continued",
    "continuation": "string: what `none` wrote",
    "prompt_tokens": "integer: how many",
    "new_tokens": "integer: how many",
    "caches": (
        "list of objects: one for each cache, first `none`, with which all are compared",
        {
            "cache": "string: its name",
            "window": "integer or null: the last tokens that the model sees with it (null: all)",
            "sinks": "integer: the first tokens that it sees too",
            "lossy": "boolean: whether the cache rounds",
            "tokens_equal": "boolean: whether all new tokens are those of its oracle, the uncached model that sees as "
            "much, and reads rounded numbers where the cache had rounded them",
            "first_difference": "integer or null: the first new token, from 0, that is not the oracle's (null: none)",
            "largest_logit_difference": "number: from the oracle's logits, over all steps up to there",
            "exact_tokens": "integer: how many new tokens, from the first on, are those of `none`",
            "exact_logit_difference": "number: from the logits of `none`, over all steps up to there",
            "prefill_ms_per_token": "number: milliseconds for each token of the prompt, in the median round",
            "decode_ms_per_token": "number: milliseconds for each new token after the first, in the median round",
            "speedup": "number: how many times as fast as `none`, in decode",
            "nbytes": "integer: bytes held at the end",
            "kv_rows_computed": "integer: a row is one token's key and value in one layer",
            "kv_rows_needed": "integer: one for each token that was fed, in each layer",
            "most_times": "integer: how often the same row was computed, at most",
            "mean_times": "number: how often, on average",
        },
    ),
    "distances": "list of integers: of the memory questions, the most tokens from the fact to the answer",
    "quality": (
        "list of objects: one for each setting whose memory was tested; none without --questions, for another model "
        "than the bundled one, or where no cache forgets",
        {
            "setting": (
                "object: a cache, and the model's window with it",
                {
                    "name": "string: in words",
                    "family": "string: of similar settings",
                    "cache": "string: its name",
                    "options": "object: as make_cache takes them",
                    "window": "integer or null: the last tokens that the model sees (null: all)",
                    "sinks": "integer: the first tokens that it sees too",
                },
            ),
            "questions": "integer: asked at each distance",
            "right": "list of integers: how many were answered right, at each of the distances",
            "nbytes": "integer: bytes held at the end of a question's prompt, in float16, fed one token at a time",
            "most_nbytes": "integer: the most bytes on the way there",
            "bits_per_byte": "number: surprise at prose never read before, in bits for each byte of UTF-8",
            "more_bits": "number: how many more than without a cache",
            "more_bits_interval": "list of numbers: the lower and the upper end of its 95% interval",
        },
    ),
}


def declare(command):
    add_model(command)
    command.add_argument("--prompt", default=PROMPT, help="the text to continue")
    add_new_tokens(command, default=96)
    how = command.add_mutually_exclusive_group()
    how.add_argument("--seed", type=int, default=0, help="of the drawn text, the same for each cache (%(default)s)")
    how.add_argument("--greedy", action="store_true", help="take the likeliest token each time instead of drawing")
    add_caches(command)
    command.add_argument(
        "--questions", type=count, default=6, metavar="N", help="for the bundled model, at each distance (%(default)s)"
    )
    add_json(command, FIELDS)


def run(options) -> int:
    from minigpt.measure.quality.compare import ROUNDS, compare, with_none
    from minigpt.measure.quality.quick_scores import quick_scores, settings_of
    from minigpt.show.progress import progress_bars
    from minigpt.show.tables.compare import as_json, report
    from minigpt.show.tables.quick_scores import report_scores
    from minigpt.show.terminal import Terminal

    names = cache_names(options.cache)
    model, folder = open_model(options)
    tokenizer, ids = open_prompt(options, model, folder)
    seed = None if options.greedy else options.seed
    with progress_bars(with_none(names), ROUNDS * options.new_tokens) as on_step:
        lines, uncached = compare(model, ids, options.new_tokens, names, seed, on_step)
    # Only the bundled model knows the questions, and it must see as far as they reach.
    asked = settings_of(names) if options.model == "recall" and model.config.window is None else []
    with progress_bars([setting.name for setting in asked], 1) as on_step:
        count = options.questions
        scores = quick_scores(model, asked, count, lambda score: on_step(score.setting.name)) if asked else []
    if options.json:
        setting = {"model": options.model, "dtype": options.dtype, "device": options.device, "seed": seed}
        print(json.dumps(as_json(lines, scores, uncached, tokenizer, ids.shape[1], setting)))
    else:
        report(lines, uncached, tokenizer, ids.shape[1], Terminal())
        report_scores(scores, Terminal())
    return EXIT_OK if all(line.tokens_equal for line in lines) else EXIT_DIFFERENT
