"""A text, written while it is generated."""

from minigpt.commands import EXIT_OK
from minigpt.commands.arguments import (
    above_zero,
    add_cache,
    add_chat,
    add_model,
    add_new_tokens,
    add_seed,
    count,
    from_zero,
    share,
)
from minigpt.commands.opening import cache_name, open_model, open_prompt

SUMMARY = "continue a prompt, and write the text as it comes"
DRAWING = {"temperature": 1.0, "top_k": 50, "top_p": 1.0, "seed": None}  # unless told otherwise


def declare(command):
    command.add_argument("prompt", help="the text to continue")
    add_chat(command)
    add_model(command)
    add_new_tokens(command, default=128)
    add_cache(command)
    command.add_argument("--do-sample", action="store_true", help="draw each token, instead of taking the likeliest")
    command.add_argument("--temperature", type=above_zero, help="of the draw (%(default)s)")
    command.add_argument(
        "--top-k", type=from_zero, metavar="K", help="draw from the K likeliest tokens (%(default)s; 0: from all)"
    )
    command.add_argument("--top-p", type=share, help="draw from the fewest tokens that add up to this (%(default)s)")
    add_seed(command, None, "makes the draws repeatable")
    command.add_argument(
        "--num-beams", type=count, default=1, metavar="N", help="search with N beams, and write the best at the end"
    )
    command.set_defaults(**DRAWING)


def run(options) -> int:
    from minigpt.measure.counted.run import served_by
    from minigpt.show.escapes import visible
    from minigpt.show.stream import TextStream

    how = {name: getattr(options, name) for name in DRAWING}
    given = [f"--{name.replace('_', '-')}" for name in DRAWING if how[name] != DRAWING[name]]
    if options.num_beams > 1 and (options.do_sample or given):
        drawing = ["--do-sample"] * options.do_sample + given
        raise ValueError(f"--num-beams searches: leave out {', '.join(drawing)}")
    if given and not options.do_sample:
        raise ValueError(f"{', '.join(given)}: for drawing only, so add --do-sample")
    name = cache_name(options.cache)
    model, folder = open_model(options)
    model = served_by(name, model)
    tokenizer, ids = open_prompt(options, model, folder)
    stream = TextStream(tokenizer, lambda text: print(visible(text), end="", flush=True), skip_prompt=options.chat)
    if options.chat:  # a turn ends where the model says so
        how["eos_token_id"] = model.special_tokens.get("eos_token_id")
    how |= {"do_sample": options.do_sample, "num_beams": options.num_beams, "cache_implementation": name}
    if options.num_beams == 1:
        model.generate(ids, max_new_tokens=options.new_tokens, streamer=stream, **how)
    else:  # which beam is best is known only at the end
        text = model.generate(ids, max_new_tokens=options.new_tokens, **how)
        for part in (ids, text[:, ids.shape[1] :]):
            stream.put(part)
        stream.end()
    return EXIT_OK
