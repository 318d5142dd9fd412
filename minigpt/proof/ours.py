"""Caches of our interface: how they are made for the proof's model, and driven by it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from minigpt.cache import CacheError
from minigpt.proof.oracles import expected, uncached
from minigpt.proof.our_model import fed, model, positions
from minigpt.proof.scripts import NEW_TOKENS, folded, ids_lines
from minigpt.proof.situations import RULES, pieces, sizes
from minigpt.proof.telling import NotOfferedError

FEED = """
@torch.no_grad()
def feed(new):
    global text
    longer, n = torch.cat([text, new], 1), new.shape[1]
    got = fed(gpt, cache, longer, n)
    want = gpt(longer.clamp(min=0), positions(longer))[:, -n:]
    text = longer
    print(f"{((got - want).abs().amax(-1) * (new >= 0)).max():.2g}")

"""


@dataclass
class Driver:
    """A cache and the model that it serves."""

    cache: Any
    house: "Ours"
    rule: str

    def __post_init__(self):
        self.gpt, self.capacity = model(self.rule), self.cache.capacity
        self.rounds = self.cache.lossy and not self.house.name

    @torch.no_grad()
    def feed(self, new, text):
        return fed(self.gpt, self.cache, text, new.shape[1])

    def uncached(self, text, history):
        fed = [each for event in history for each in (self.in_pieces(event) if event > 0 else [event])]
        given = self.gpt, text.clamp(min=0), positions(text), fed
        with torch.no_grad():
            return expected(self.house.name, *given) if self.house.name else uncached(*given, None)

    def in_pieces(self, new: int) -> list[int]:
        """As `feed` feeds them."""
        return sizes(pieces(self.cache, 0, new))

    def fork(self):
        return replace(self, cache=copy.deepcopy(self.cache))

    def crop(self, count):
        self.do(self.cache.crop, count)

    def select(self, rows):
        self.do(self.cache.select, rows)

    reorder = select

    def repeat(self, times):
        self.select([row for row in range(len(self.cache.positions)) for _ in range(times)])

    def reset(self):
        self.do(self.cache.reset)

    def do(self, verb: Callable, *given):
        try:
            verb(*given)
        except NotImplementedError as error:
            raise NotOfferedError from error

    def generate(self, ids):
        return self.gpt.generate(ids, max_new_tokens=NEW_TOKENS, cache=self.cache)

    def generate_uncached(self, ids):
        return self.gpt.generate(ids, max_new_tokens=NEW_TOKENS, use_cache=False)


def selected(given, rows: list[int]) -> list[str]:
    """The lines of a script; `given` is what other interfaces take."""
    return [f"cache.select({rows})", f"text = text[{rows}]"]


@dataclass
class Ours:
    """make: a function or class of (config, batch_size, dtype, device). import_line, made: how a script has it. name:
    in the registry, if it is one of these: then one that rounds has an oracle (oracles.py)."""

    make: Callable
    import_line: str
    made: str
    name: str = ""
    helpless: ClassVar[dict[str, str]] = {}

    def __post_init__(self):
        self.rules = [rule for rule in RULES if self.can_be_made(rule)] or ["full"]

    def can_be_made(self, rule: str) -> bool:
        """A rule that is refused is left out; whatever else is raised is a bug of the cache, and is told."""
        try:
            self.driver(rule, 1)
        except (ValueError, CacheError, NotImplementedError):
            return False
        return True

    def driver(self, rule: str, rows: int) -> Driver:
        cache = self.make(model(rule).config, batch_size=rows, dtype=torch.float64, device=torch.device("cpu"))
        return Driver(cache, self, rule)

    def making(self, rows: int) -> list[str]:
        given = f'gpt.config, batch_size={rows}, dtype=torch.float64, device="cpu"'
        return folded(f"cache = {self.made.format(given)}")

    def head(self, rule: str, pads: list[int]) -> list[str]:
        return [
            "import torch",
            "from minigpt.proof.our_model import fed, model, positions",
            self.import_line,
            "",
            f"gpt = model({rule!r})",
            *self.making(len(pads)),
            *ids_lines(pads),
            *FEED.splitlines(),
        ]

    calls: ClassVar[dict[str, Callable]] = {
        "crop": lambda count: [f"cache.crop({count})", f"text = text[:, :{count}]"],
        "select": selected,
        "reorder": selected,
        "repeat": selected,
        "reset": lambda: ["cache.reset()", "text = text[:, :0]"],
    }

    def generates(self, ids: str, cached: bool) -> str:
        return f"gpt.generate({ids}, max_new_tokens={NEW_TOKENS}, {'cache=cache' if cached else 'use_cache=False'})"
