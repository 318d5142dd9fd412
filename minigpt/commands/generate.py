"""A text, written while it is generated."""

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import above_zero, add_model, add_new_tokens, add_seed, count, share
from minigpt.commands.opening import cache_name, open_model, open_prompt

SUMMARY = "continue a prompt, and write the text as it comes"


def declare(command):
    command.add_argument("prompt", help="the text to continue")
    add_model(command)
    add_new_tokens(command, default=128)
    command.add_argument("--cache", default="dynamic", metavar="NAME", help="which cache (%(default)s)")
    command.add_argument("--do-sample", action="store_true", help="draw, instead of taking the likeliest token")
    command.add_argument("--temperature", type=above_zero, default=1.0, help="of the draw (%(default)s)")
    command.add_argument(
        "--top-k", type=count, default=50, metavar="K", help="draw from the K likeliest tokens (%(default)s)"
    )
    command.add_argument(
        "--top-p", type=share, default=1.0, help="draw from the fewest that together reach this (%(default)s)"
    )
    add_seed(command, None, "makes the draws repeatable")


def run(options) -> int:
    from minigpt.measure.counted.run import served_by
    from minigpt.show.escapes import visible
    from minigpt.show.stream import TextStream

    name = cache_name(options.cache)
    model, folder = open_model(options)
    model = served_by(name, model)
    tokenizer, ids = open_prompt(options, model, folder)
    how = {name: getattr(options, name) for name in ("do_sample", "temperature", "top_k", "top_p", "seed")}
    stream = TextStream(tokenizer, lambda text: print(visible(text), end="", flush=True))
    model.generate(ids, max_new_tokens=options.new_tokens, cache_implementation=name, streamer=stream, **how)
    return EXIT_OK
