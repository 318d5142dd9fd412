"""The command line. torch is imported only by the command that needs it, so that --help answers at once."""

import argparse
import json
import os
import sys
from pathlib import Path

from minigpt import __version__

EXIT_OK, EXIT_DIFFERENT, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

SMALL = 10_000_000  # parameters; below, threads wait for each other longer than they work

PROMPT = """PROSPERO.
[Give Romeo ruby.]
[Give Ophelia lantern.]
Now my charms are all o'erthrown,
And what strength I have's mine own,
Which is most faint. Now, 'tis true,
I must be here confin'd by you,
[Give Romeo"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["compare", *arguments]  # the main job needs no name
    options = parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (ValueError, OSError, RuntimeError) as error:
        print(f"minigpt: {error}", file=sys.stderr)
        return EXIT_USAGE


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m minigpt",
        description="A GPT whose cached output is its uncached output. Without a command: compare.",
        epilog="Exit codes: 0 done, 1 a cache generated other tokens than none, 2 wrong or failed, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"minigpt {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = add(commands, "compare", compare, "continue a prompt under every cache, and show what each saved")
    add_model(command)
    command.add_argument("--prompt", default=PROMPT, help="the text to go on from")
    command.add_argument(
        "--new-tokens", type=count, default=96, metavar="N", help="how many tokens to add (%(default)s)"
    )
    how = command.add_mutually_exclusive_group()
    how.add_argument("--seed", type=int, default=0, help="of the text, drawn alike for each cache (%(default)s)")
    how.add_argument("--greedy", action="store_true", help="take the likeliest token each time instead of drawing")
    add_caches(command)
    add_json(command)

    command = add(commands, "generate", generate, "continue a prompt, and write the text as it comes")
    command.add_argument("prompt", help="the text to go on from")
    add_model(command)
    command.add_argument(
        "--new-tokens", type=count, default=128, metavar="N", help="how many tokens to add (%(default)s)"
    )
    command.add_argument("--cache", default="dynamic", metavar="NAME", help="which cache (%(default)s)")
    command.add_argument("--do-sample", action="store_true", help="draw, instead of taking the likeliest token")
    command.add_argument("--temperature", type=float, default=1.0, help="of the draw (%(default)s)")
    command.add_argument("--top-k", type=int, default=50, help="draw from the K likeliest tokens (%(default)s)")
    command.add_argument(
        "--top-p", type=float, default=1.0, help="draw from the fewest that together reach this (%(default)s)"
    )
    command.add_argument("--seed", type=int, default=None, help="makes the draws repeatable")

    command = add(commands, "recall", recall, "ask a model its memory questions, and measure its prose")
    add_model(command)
    command.add_argument("--cache", default="none", metavar="NAME", help="read through this cache (%(default)s)")
    command.add_argument("--questions", type=count, default=200, metavar="N", help="for each distance (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of the questions (%(default)s)")
    add_json(command)

    command = add(commands, "bench", bench, "measure tokens a second")
    add_model(command)
    command.add_argument("--prompt", default="HAMLET.", help="the text to go on from (short: nearly all is decode)")
    command.add_argument(
        "--new-tokens", type=count, default=128, metavar="N", help="how many tokens to add (%(default)s)"
    )
    command.add_argument(
        "--rounds", type=count, default=9, metavar="N", help="of all contestants in turn (%(default)s)"
    )
    command.add_argument("--peer", choices=["transformers"], help="race against this library, with the same weights")
    add_caches(command)
    add_json(command)

    command = add(commands, "train", train, "make the bundled model anew, or one of your own text")
    command.add_argument("--out", type=Path, default=Path("runs/recall"), metavar="FOLDER", help="(%(default)s)")
    command.add_argument("--data", type=Path, metavar="FILE", help="any UTF-8 text (default: Shakespeare's plays)")
    command.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    command.add_argument(
        "--threads", type=count, default=1, metavar="N", help="another number rounds otherwise (%(default)s)"
    )
    command.add_argument("--no-bfloat16", action="store_true", help="for a CPU without it, where it is slow")

    command = add(commands, "figures", figures, "draw every figure anew")
    command.add_argument("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="(%(default)s)")
    return top


def add(commands, name, function, summary):
    command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    command.set_defaults(command=function)
    return command


def add_model(command):
    command.add_argument(
        "--model", default="recall", help="a folder in Hugging Face's GPT-2 format, or a name (%(default)s)"
    )
    types = ["float32", "float64", "bfloat16", "float16"]
    command.add_argument("--dtype", choices=types, default="float32", help="of weights and cache (%(default)s)")
    command.add_argument("--window", type=count, metavar="N", help="let the model see only the last N tokens")
    command.add_argument("--sinks", type=int, default=0, metavar="N", help="... and the first N (%(default)s)")
    command.add_argument("--device", default="cpu", help="cpu, cuda, ... (%(default)s)")
    command.add_argument(
        "--threads", type=count, metavar="N", help="of the CPU (1 for a small model, else torch's choice)"
    )


def add_caches(command):
    command.add_argument("--cache", nargs="+", metavar="NAME", help="which caches, with spaces between (default: all)")


def add_json(command):
    command.add_argument("--json", action="store_true", help="print one JSON object instead")


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, got {text}")
    return int(text)


def open_model(options):
    """The model of the command line, and the folder that it came from."""
    import torch

    from minigpt.model import GPT
    from minigpt.pretrained import model_folder

    model = GPT.from_pretrained(options.model, dtype=getattr(torch, options.dtype), device=options.device)
    if options.window or options.sinks:
        model = model.with_window(options.window, options.sinks)
    small = sum(parameter.numel() for parameter in model.parameters()) < SMALL
    if options.threads or small:
        torch.set_num_threads(options.threads or 1)
    return model, model_folder(options.model)


def open_prompt(options, model, folder):
    """The tokenizer, and the prompt as (1, T) ids."""
    import torch

    from minigpt.pretrained import load_tokenizer

    tokenizer = load_tokenizer(folder)
    try:
        options.prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the prompt is not UTF-8 text") from error
    ids = tokenizer.encode(options.prompt).ids
    if not ids:
        raise ValueError("the prompt is empty: give at least one character")
    return tokenizer, torch.tensor([ids], dtype=torch.int64, device=model.device)


def chosen_caches(options):
    from minigpt.cache import CACHES

    unknown = set(options.cache or []) - set(CACHES)
    if unknown:
        known = ", ".join(CACHES)
        raise ValueError(f"no cache is named {', '.join(sorted(unknown))}; there are {known} (put spaces between)")
    return list(dict.fromkeys(options.cache or CACHES))


def compare(options) -> int:
    from minigpt.show.compare import as_json, report
    from minigpt.show.compare import compare as compare_caches
    from minigpt.show.terminal import Terminal

    names = chosen_caches(options)
    model, folder = open_model(options)
    tokenizer, ids = open_prompt(options, model, folder)
    seed = None if options.greedy else options.seed
    lines, uncached = compare_caches(model, ids, options.new_tokens, names, seed)
    if options.json:
        setting = {"model": options.model, "dtype": options.dtype, "device": options.device, "seed": seed}
        print(json.dumps(as_json(lines, uncached, tokenizer, ids.shape[1], setting)))
    else:
        report(lines, uncached, tokenizer, ids.shape[1], Terminal())
    return EXIT_OK if all(line.tokens_equal or line.lossy for line in lines) else EXIT_DIFFERENT


def generate(options) -> int:
    from minigpt.measure.run import served_by
    from minigpt.show.stream import TextStream

    (name,) = chosen_caches(argparse.Namespace(cache=[options.cache]))
    model, folder = open_model(options)
    model = served_by(name, model)
    tokenizer, ids = open_prompt(options, model, folder)
    how = {"use_cache": False} if name == "none" else {"cache_implementation": name}
    for argument in ("do_sample", "temperature", "top_k", "top_p", "seed"):
        how[argument] = getattr(options, argument)
    stream = TextStream(tokenizer, lambda text: print(text, end="", flush=True))
    model.generate(ids, max_new_tokens=options.new_tokens, streamer=stream, **how)
    return EXIT_OK


def recall(options) -> int:
    from minigpt.measure.quality import bits_per_byte, chance_by_distance, recall_by_distance
    from minigpt.measure.run import served_by
    from minigpt.show.quality import report
    from minigpt.show.terminal import Terminal

    (name,) = chosen_caches(argparse.Namespace(cache=[options.cache]))
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


def bench(options) -> int:
    from minigpt.measure import bench as measure
    from minigpt.show.speed import report
    from minigpt.show.terminal import Terminal

    names = chosen_caches(options)
    model, folder = open_model(options)
    _, ids = open_prompt(options, model, folder)
    calls = measure.contestants(model, folder, ids, options.new_tokens, names, options.peer)
    seconds = measure.bench(calls, options.rounds)
    lines = measure.summary(seconds, options.new_tokens, len(ids), versus=options.peer or names[0])
    result = {
        "versus": options.peer or names[0],
        "rounds": options.rounds,
        "machine": measure.machine(),
        "lines": lines,
    }
    if options.json:
        print(json.dumps(result))
    else:
        report(result, Terminal())
    return EXIT_OK


def train(options) -> int:
    from minigpt.measure.quality import assess
    from minigpt.recall.train import train as train_recall

    try:
        train_recall(
            options.out,
            assess,
            data=options.data,
            seed=options.seed,
            threads=options.threads,
            bfloat16=not options.no_bfloat16,
        )
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from error
    except KeyboardInterrupt:
        print("the same command goes on from the last checkpoint (one every 250 steps)", file=sys.stderr)
        raise
    print(options.out)
    return EXIT_OK


def figures(options) -> int:
    try:
        from minigpt.show.plots import draw_all
    except ModuleNotFoundError as error:
        raise ValueError(f"figures are drawn with matplotlib: pip install matplotlib ({error})") from error

    for path in draw_all(options.out):
        print(path)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
