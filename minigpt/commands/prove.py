"""The proof: every cache in every situation, against the uncached model."""

import importlib
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from minigpt.commands import EXIT_DIFFERENT, EXIT_OK
from minigpt.commands.arguments import add_json
from minigpt.commands.prove_fields import FIELDS

SUMMARY = "prove caches, situation by situation: exact, rounds, refuses, breaks, or silently wrong"


def declare(command):
    command.add_argument(
        "caches",
        nargs="?",
        default="minigpt",
        metavar="CACHES",
        help="minigpt: its own (default); transformers: those of the installed version; MODULE:NAME: yours, a function "
        "or a class of (config, batch_size, dtype, device) that returns a cache, in either interface",
    )
    command.add_argument("--only", nargs="+", metavar="SITUATION", help="such as: crop 'left padding' (default: all)")
    command.add_argument("--markdown", action="store_true", help="print Markdown")
    add_json(command, FIELDS)


def run(options) -> int:
    import torch

    from minigpt.proof.prove import prove_house
    from minigpt.proof.stories import SITUATIONS
    from minigpt.show.progress import progress_bars
    from minigpt.show.tables import prove as tables
    from minigpt.show.terminal import Terminal

    if options.markdown and options.json:
        raise ValueError("--markdown and --json are each an output of its own: choose one")
    situations = options.only or [*SITUATIONS]
    unknown = [each for each in situations if each not in SITUATIONS]
    if unknown:
        raise ValueError(f"no situation is named {unknown[0]}; there are {', '.join(SITUATIONS)}")
    houses = houses_of(options.caches)
    torch.set_num_threads(1)  # the models are tiny: more would wait for each other
    proofs = []
    with progress_bars([*houses], len(situations)) as on_step:
        for name, house in houses.items():
            proofs.append(prove_house(name, house, situations, lambda name=name: on_step(name)))
    if options.json:
        print(json.dumps(tables.as_json(options.caches, proofs)))
    elif options.markdown:
        print(tables.as_markdown(options.caches, proofs))
    else:
        tables.report(options.caches, proofs, Terminal())
    return EXIT_DIFFERENT if any(proof.to_mend or proof.serves_nothing for proof in proofs) else EXIT_OK


def houses_of(caches: str) -> dict[str, Any]:
    """How each is made and driven, by name."""
    from minigpt.proof.houses import house_of
    from minigpt.proof.our_caches import our_caches
    from minigpt.proof.transformers_caches import transformers_caches

    known: dict[str, Callable[[], dict]] = {"minigpt": our_caches, "transformers": transformers_caches}
    return known[caches]() if caches in known else {caches: house_of(found(caches))}


def found(name: str):
    """What MODULE:NAME names; a module may lie in the working folder."""
    module, colon, within = name.partition(":")
    if not (module and colon and within):
        raise ValueError(f"prove takes minigpt, transformers or MODULE:NAME, got {name}")
    sys.path.insert(0, "")
    try:
        imported = importlib.import_module(module)
    except (ImportError, SyntaxError) as error:  # the second says itself where
        raise ValueError(f"{module} can't be imported: {error}") from error
    except Exception as error:  # whatever a module raises while it is run
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f"line {last.lineno} of {last.filename}"
        raise ValueError(f"{module} can't be imported: {type(error).__name__}: {error} ({where})") from error
    finally:
        sys.path.remove("")
    try:
        return getattr(imported, within)
    except AttributeError as error:
        raise ValueError(f"{name} can't be found: {error}") from error
