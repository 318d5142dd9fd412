"""A command that several processes run, each on its part of the model."""

import contextlib
import os
import sys
from collections.abc import Iterator

HELP = "cut the model over the processes that torchrun has started: heads gives each some heads, and their cache"


def add_parallel(command):
    command.add_argument("--parallel", choices=["heads"], help=HELP)


@contextlib.contextmanager
def company(options, model) -> Iterator:
    """The model that this process is to run: the given one, or its part of it. Of several processes only the first
    prints, but for errors.

    Raises ValueError if the processes were not started alike, and LostProcessError if one is lost.
    """
    if options.parallel is None:
        yield model
        return
    from minigpt import __version__
    from minigpt.parallel.heads import by_heads
    from minigpt.parallel.processes import agree, together

    with contextlib.ExitStack() as leaving:
        processes = leaving.enter_context(together(options.device))
        if processes.part:
            quiet = leaving.enter_context(open(os.devnull, "w", encoding="utf-8"))
            leaving.enter_context(contextlib.redirect_stdout(quiet))
        agree(processes, version=__version__, weights=model, arguments=sys.argv[1:])
        yield by_heads(model, processes)
