"""The same text with a cache and without, side by side."""

from minigpt.commands import EXIT_DIFFERENT, EXIT_OK
from minigpt.commands.arguments import add_cache, add_chat, add_model, add_new_tokens, add_seed
from minigpt.commands.opening import cache_name, open_model, open_prompt

SUMMARY = "write the same text with a cache and without, side by side, and count the rows computed"


def declare(command):
    add_model(command)
    command.add_argument("--prompt", default="HAMLET.\nTo be", help="the text to continue")
    add_chat(command)
    add_new_tokens(command, default=400)
    add_cache(command)
    add_seed(command, 0, "of the drawn text, the same for both (%(default)s)")


def run(options) -> int:
    from minigpt.cache import CACHES
    from minigpt.measure.counted.run import served_by
    from minigpt.measure.quality.compare import picker
    from minigpt.measure.timed.race import Lane, race
    from minigpt.show.race import panes, verdict
    from minigpt.show.terminal import Terminal

    name = cache_name(options.cache)
    if name == "none":
        raise ValueError("--cache none is what the other side runs without: name a cache that keeps something")
    model, folder = open_model(options)
    model = served_by(name, model)
    tokenizer, ids = open_prompt(options, model, folder)
    console = Terminal()
    lanes = [Lane(model, ids, options.new_tokens, each, picker(options.seed, model)) for each in ("none", name)]
    uncached, cached = lanes
    with panes(lanes, tokenizer, console) as on_step:
        race(lanes, on_step)
    verdict(uncached, cached, console)
    same = uncached.tokens == cached.tokens
    return EXIT_OK if same or CACHES[name].lossy else EXIT_DIFFERENT
