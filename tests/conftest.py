"""Shapes are checked while the tests run: jaxtyping's hook puts beartype behind every annotation of the package."""

import os
from pathlib import Path

# Before torch is imported, and for the processes that tests start.
os.environ["HF_HUB_OFFLINE"] = "1"  # no test reaches the network
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # tiny models: more would only wait for each other
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

import shape_checks

shape_checks.install()

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.nn.modules.module.__tracebackhide__ = True  # between two lines of a model it has six of its own
torch.set_num_threads(1)
settings.register_profile("the same each time", derandomize=True, deadline=None)  # a busy machine is no bug
settings.load_profile("the same each time")


def cores():
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist's own
def pytest_cmdline_main(config):
    """The suite takes a process for each core, 8 at most; named files, or a word of -k, are sooner done in this one.

    -n says otherwise. Each process goes on in its files, and takes from another's end only when it has no more, so what
    the tests of a file share is seldom made twice.
    """
    options = config.option
    if not hasattr(options, "numprocesses") or hasattr(config, "workerinput"):
        return  # without pytest-xdist, or one of its processes
    alone = options.keyword or options.usepdb or any(".py" in argument for argument in config.args)
    if options.numprocesses is None and not alone and cores() > 1:
        options.numprocesses = min(8, cores())
    if options.numprocesses and options.dist == "no":
        options.dist = "worksteal"
