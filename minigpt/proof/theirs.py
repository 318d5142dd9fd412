"""Caches of transformers' interface: how they are made for a tiny random model of its own, and driven by it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch

from minigpt.proof.scripts import NEW_TOKENS, folded, ids_lines
from minigpt.proof.telling import NotOfferedError
from minigpt.proof.their_model import SIZES, WINDOWS, keyword, limit, model, places

PLAIN_FEED = """
@torch.no_grad()
def feed(new):
    global text
    got = model(new, {keyword}=cache).logits
    text = torch.cat([text, new], 1)
    want = model(text, use_cache=False).logits[:, -new.shape[1] :]
    print(f"{{(got - want).abs().max():.2g}}")

"""
PADDED_FEED = """
@torch.no_grad()
def feed(new):
    global text
    longer, n = torch.cat([text, new], 1), new.shape[1]
    known, mask = longer.clamp(min=0), (longer >= 0).long()
    at = (mask.cumsum(1) - 1).clamp(min=0)
    got = model(known[:, -n:], mask, at[:, -n:], {keyword}=cache).logits
    want = model(known, mask, at, use_cache=False).logits[:, -n:]
    text = longer
    print(f"{{((got - want).abs().amax(-1) * (new >= 0)).max():.2g}}")

"""


GENERATES = {"max_new_tokens": NEW_TOKENS, "do_sample": False}


@dataclass
class Driver:
    """A cache and the model that it serves."""

    cache: Any
    house: "Theirs"
    rule: str

    def __post_init__(self):
        self.model, self.rounds = model(self.rule), self.house.rounds
        self.capacity = limit(self.cache)

    @torch.no_grad()
    def feed(self, new, text):
        at = places(text) if (text < 0).any() else {}  # else they are the cache's own to know
        if at:
            at["position_ids"] = at["position_ids"][:, -new.shape[1] :]
        return self.model(new.clamp(min=0), **at, **{keyword(): self.cache}).logits

    @torch.no_grad()
    def uncached(self, text, history):
        return self.model(text.clamp(min=0), **places(text), use_cache=False).logits

    def fork(self):
        return replace(self, cache=copy.deepcopy(self.cache))

    def crop(self, count):
        self.do("crop", count)

    def select(self, rows):
        self.do("batch_select_indices", torch.tensor(rows))

    def reorder(self, rows):
        self.do("reorder_cache", torch.tensor(rows))

    def repeat(self, times):
        self.do("batch_repeat_interleave", times)

    def reset(self):
        self.do("reset")

    def do(self, verb: str, *given):
        """A cache, or one of its layers, may lack the verb."""
        try:
            getattr(self.cache, verb)(*given)
        except AttributeError as error:
            if error.name == verb:
                raise NotOfferedError from error
            raise
        except NotImplementedError as error:
            raise NotOfferedError from error

    def generate(self, ids):
        return self.model.generate(ids, **GENERATES, **{keyword(): self.cache})

    def generate_uncached(self, ids):
        return self.model.generate(ids, **GENERATES, use_cache=False)


@dataclass
class Theirs:
    """make: a function or class of (config, batch_size, dtype, device). import_line, made: how a script has it. rounds:
    whether it is held to no more than rounding errors."""

    make: Callable
    import_line: str
    made: str
    rules: list[str] = field(default_factory=lambda: [*WINDOWS])
    rounds: bool = False
    helpless: ClassVar[dict[str, str]] = {
        "another text": "`generate` feeds the tokens beyond the cache's length and compares no others, and a cache of "
        "this interface never sees any.",
    }

    def driver(self, rule: str, rows: int) -> Driver:
        config = model(rule).config
        cache = self.make(config, batch_size=rows, dtype=torch.float64, device=torch.device("cpu"))
        return Driver(cache, self, rule)

    def making(self, rows: int) -> list[str]:
        given = f'config, batch_size={rows}, dtype=torch.float64, device="cpu"'
        return folded(f"cache = {self.made.format(given)}")

    def head(self, rule: str, pads: list[int]) -> list[str]:
        sizes = ", ".join(f"{name}={size!r}" for name, size in {**SIZES, "sliding_window": WINDOWS[rule]}.items())
        return [
            "import torch",
            "from transformers import Starcoder2Config, Starcoder2ForCausalLM",
            self.import_line,
            "",
            "torch.manual_seed(0)",
            *folded(f"config = Starcoder2Config({sizes})"),
            "model = Starcoder2ForCausalLM(config).double().eval()",
            *self.making(len(pads)),
            *ids_lines(pads),
            *(PADDED_FEED if any(pads) else PLAIN_FEED).format(keyword=keyword()).splitlines(),
        ]

    calls: ClassVar[dict[str, Callable]] = {
        "crop": lambda count: [f"cache.crop({count})", f"text = text[:, :{count}]"],
        "select": lambda given, rows: [f"cache.batch_select_indices(torch.tensor({rows}))", f"text = text[{rows}]"],
        "reorder": lambda given, rows: [f"cache.reorder_cache(torch.tensor({rows}))", f"text = text[{rows}]"],
        "repeat": lambda times, rows: [f"cache.batch_repeat_interleave({times})", f"text = text[{rows}]"],
        "reset": lambda: ["cache.reset()", "text = text[:, :0]"],
    }

    def generates(self, ids: str, cached: bool) -> str:
        how = f"{keyword()}=cache" if cached else "use_cache=False"
        return f"model.generate({ids}, max_new_tokens={NEW_TOKENS}, do_sample=False, {how})"
