"""One of several processes that generate together: `dying.py 60 killed 0`, `dying.py 6 late 1`. First how long each
waits for another, then what happens in mid-generation, to the process of which number."""

import os
import signal
import sys
import time

import torch

from minigpt import GPT, GPTConfig
from minigpt.__main__ import main
from minigpt.commands import parser
from minigpt.parallel import by_heads, together


def run(seconds, what, who):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=53, context=512, n_layer=2, n_head=6, n_embd=48)).eval()
    with together(timeout=float(seconds)) as group:

        class Streamer:
            tokens = 0

            def put(self, ids):
                self.tokens += 1
                if self.tokens == 5 and group.part == int(who):
                    if what == "killed":
                        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
                    time.sleep(float(seconds) + 2)

            def end(self):
                pass

        prompt = torch.zeros(1, 4, dtype=torch.int64)
        by_heads(model, group).generate(prompt, max_new_tokens=400, streamer=Streamer())
        print("done")
    return 0


class Command:
    """As the command line runs it."""

    run = staticmethod(lambda options: run(*sys.argv[1:]))


if __name__ == "__main__":
    parser.parse = lambda arguments: Command
    sys.exit(main())
