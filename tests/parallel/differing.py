"""One of two processes that were to be started alike, and differ in some: `differing.py arguments version`."""

import os
import sys
from types import SimpleNamespace

import torch

import minigpt
from minigpt import GPT, GPTConfig
from minigpt.__main__ import main
from minigpt.commands import parser
from minigpt.commands.company import company


def run(differ):
    part = int(os.environ["RANK"])
    torch.manual_seed(part if "weights" in differ else 0)
    model = GPT(GPTConfig(vocab_size=53, context=64, n_layer=1, n_head=2, n_embd=16)).eval()
    if "version" in differ:
        minigpt.__version__ += f".{part}"
    if "arguments" in differ:
        sys.argv += ["--seed", str(part)]
    with company(SimpleNamespace(parallel="heads", device="cpu"), model):
        print("done")
    return 0


class Command:
    """As the command line runs it."""

    run = staticmethod(lambda options: run(sys.argv[1:]))


if __name__ == "__main__":
    parser.parse = lambda arguments: Command
    sys.exit(main())
