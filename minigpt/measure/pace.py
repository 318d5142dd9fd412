"""How long a token takes, with and without a cache, against how many tokens there are; and how fast the machine is."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from minigpt.cache import make_cache
from minigpt.config import GPTConfig
from minigpt.measure.bench import machine
from minigpt.measure.cost import decode_flops, prefill_flops
from minigpt.measure.roofline import decode_nbytes, least_seconds, prefill_nbytes
from minigpt.model import GPT

GPT2 = {"vocab_size": 50257, "context": 1024, "n_layer": 12, "n_head": 12, "n_embd": 768}
TOKENS = 32, 64, 128, 256, 512, 1024
SIDE, READ = 2048, 2**27


@dataclass(frozen=True)
class Pace:
    """seconds: of each round, for the token after so many, by cache and number of tokens (JSON keys: text).

    flops_per_second, bytes_per_second: of a large product of matrices, and of a matrix times a vector, the best of the
    rounds. machine: what they depend on. model: its sizes; its weights are random, in float32.
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
    def load(cls, path: Path) -> "Pace":
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def least(self, name: str, tokens: int) -> float:
        """Seconds, by the closed forms and this machine's speeds. Without a cache all tokens are fed again (attention
        is dense: a kernel with a mask computes what it hides)."""
        config = GPTConfig(**self.model)
        if name == "none":
            work = prefill_flops(config, tokens, attention="dense", logits="last")
            nbytes = prefill_nbytes(config, tokens, itemsize=4)
        else:
            work = decode_flops(config, tokens, attention="dense")
            nbytes = decode_nbytes(config, tokens, itemsize=4)
        speeds = {"flops_per_second": self.flops_per_second, "bytes_per_second": self.bytes_per_second}
        return least_seconds(float(work.total), float(nbytes), **speeds)


@torch.inference_mode()
def record(
    rounds: int = 5, sizes: dict = GPT2, counts: tuple[int, ...] = TOKENS, side: int = SIDE, read: int = READ
) -> Pace:
    """Measure it. All takes turns in each round, so that all meets the same machine.

    sizes: of the model. counts: of tokens. side: of the square matrices that are multiplied. read: numbers of a matrix
    that is only read, far more than the processor's own memory holds.
    """
    torch.manual_seed(0)
    model = GPT(GPTConfig(**sizes)).eval()
    ids = torch.randint(model.config.vocab_size, (1, model.config.context))
    square, matrix, vector = torch.randn(side, side), torch.randn(read // side, side), torch.randn(1, side)
    seconds = {name: {str(tokens): [] for tokens in counts} for name in ("none", "dynamic")}
    multiplying, reading = [], []
    for _ in range(rounds):
        multiplying.append(timed(lambda: square @ square))
        reading.append(timed(lambda: F.linear(vector, matrix)))
        for tokens in counts:
            text, cache = ids[:, :tokens], make_cache("dynamic", model.config)
            seconds["none"][str(tokens)].append(timed(lambda text=text: last_logits(model, text)))
            last_logits(model, text, cache)  # so its shelves have grown
            cache.crop(-1)
            new = text[:, -1:]
            seconds["dynamic"][str(tokens)].append(timed(lambda new=new, cache=cache: last_logits(model, new, cache)))
    fastest = 2 * side**3 / min(multiplying), matrix.nbytes / min(reading)
    return Pace(machine() | {"processor": processor()}, sizes, *fastest, seconds)


def last_logits(model: GPT, ids, cache=None):
    cache = make_cache("none", model.config) if cache is None else cache
    positions = torch.arange(cache.length, cache.length + ids.shape[1])[None]
    return model.lm_head(model.hidden(ids, positions, cache)[:, -1])


def processor() -> str:
    """Its name, where the system tells."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def timed(call: Callable) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
