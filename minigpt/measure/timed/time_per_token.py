"""How long one more token takes after so many, with and without a cache; and how fast the machine is."""

import json
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from minigpt.cache import make_cache
from minigpt.config import GPTConfig
from minigpt.measure.forms.caches import FORMS
from minigpt.measure.forms.flops import decode_flops, prefill_flops
from minigpt.measure.forms.real_models import GPT2
from minigpt.measure.forms.roofline import decode_nbytes, least_seconds, prefill_nbytes
from minigpt.measure.timed.machine import machine
from minigpt.measure.timed.turns import in_turns, seconds
from minigpt.model import GPT

TOKENS = 32, 64, 128, 256, 512, 1024
SIDE, READ = 2048, 2**27


@dataclass(frozen=True)
class TimePerToken:
    """seconds: what one more token took in each round, by cache and number of tokens so far (a string, for JSON).

    flops_per_second, bytes_per_second: the machine's own speeds, reached in the best round: in a product of large
    matrices, and in a plain sum of more numbers than the processor's caches hold. machine: what all these depend on.
    model: its sizes; its weights are random, in float32.
    """

    machine: dict
    model: dict
    flops_per_second: float
    bytes_per_second: float
    seconds: dict[str, dict[str, list[float]]]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path) -> "TimePerToken":
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def least(self, name: str, tokens: int) -> float:
        """The least seconds that the closed forms and this machine's speeds allow. Without a cache all tokens are fed
        again. Of attention the causal half is counted: a kernel may leave out what a mask hides."""
        config = GPTConfig(**self.model)
        if not FORMS[name].keeps:
            work = prefill_flops(config, tokens, attention="causal", logits="last")
            nbytes = prefill_nbytes(config, tokens, itemsize=4)
        else:
            work = decode_flops(config, tokens, attention="causal")
            nbytes = decode_nbytes(config, tokens, itemsize=4)
        speeds = {"flops_per_second": self.flops_per_second, "bytes_per_second": self.bytes_per_second}
        return least_seconds(work.total, nbytes, **speeds)


@torch.inference_mode()
def record(
    rounds: int = 15, sizes: dict = GPT2, counts: tuple[int, ...] = TOKENS, side: int = SIDE, read: int = READ
) -> TimePerToken:
    """Measure. In each round everything takes its turn, so that a busy minute hits all of it.

    sizes: of the model. counts: of tokens so far. side: of the square matrices that are multiplied. read: how many
    numbers are summed, far more than the processor's caches hold.
    """
    torch.manual_seed(0)
    model = GPT(GPTConfig(**sizes)).eval()
    ids = torch.randint(model.config.vocab_size, (1, model.config.context))
    square, numbers = torch.randn(side, side), torch.randn(read)
    calls: dict[Hashable, Callable[[], object]] = {"product": lambda: square @ square, "sum": numbers.sum}
    for tokens in counts:
        text, cache = ids[:, :tokens], make_cache("dynamic", model.config)
        last_logits(model, text[:, :-1], cache)
        calls["none", tokens] = partial(last_logits, model, text)
        calls["dynamic", tokens] = partial(once_more, model, text[:, -1:], cache)
    took = in_turns({name: partial(seconds, call) for name, call in calls.items()}, rounds)
    speeds = 2 * side**3 / min(took.pop("product")), numbers.nbytes / min(took.pop("sum"))
    by_name = {name: {str(tokens): took[name, tokens] for tokens in counts} for name in ("none", "dynamic")}
    return TimePerToken(machine(model.device), sizes, *speeds, by_name)


def once_more(model: GPT, new, cache):
    """The logits after a token that the cache then gives back, which takes no time to speak of."""
    logits = last_logits(model, new, cache)
    cache.crop(-1)
    return logits


def last_logits(model: GPT, ids, cache=None):
    cache = make_cache("none", model.config) if cache is None else cache
    return model.lm_head(model.hidden(ids, None, cache)[:, -1])
