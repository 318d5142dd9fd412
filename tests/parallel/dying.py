"""One of several processes that generate together; the one that is named ends itself in mid-generation, or is late:
`dying.py killed 1`, `dying.py late 1`."""

import os
import signal
import sys
import time

import torch

from minigpt import GPT, GPTConfig
from minigpt.__main__ import main
from minigpt.parallel import by_heads, together

TIMEOUT = 5.0


def run(what, who):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=53, context=512, n_layer=2, n_head=4, n_embd=32)).eval()
    with together(timeout=TIMEOUT) as group:
        part = by_heads(model, group)

        class Streamer:
            tokens = 0

            def put(self, ids):
                self.tokens += 1
                if self.tokens == 5 and group.part == int(who):
                    if what == "killed":
                        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
                    time.sleep(3 * TIMEOUT)

            def end(self):
                print("done")

        part.generate(torch.zeros(1, 4, dtype=torch.int64), max_new_tokens=400, streamer=Streamer())
    return 0


class Command:
    """As the command line runs it."""

    run = staticmethod(lambda options: run(*sys.argv[1:]))


if __name__ == "__main__":
    from minigpt.commands import parser

    parser.parse = lambda arguments: Command
    sys.exit(main())
