"""Bytes that each cache holds as tokens come."""

from dataclasses import dataclass

from minigpt.config import GPTConfig
from minigpt.measure.forms.caches import FORMS
from minigpt.measure.forms.generation import kv_costs
from minigpt.measure.forms.quantized import RESIDUAL
from minigpt.measure.forms.real_models import GPT2
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed, mb

WINDOW, SINKS, NBITS = 256, 4, 4
BFLOAT16 = 2  # bytes of a number
SHOWN = "concat", "dynamic", "static", "sliding_window", "quantized", "offloaded", "offloaded_static"
MARKED = 200  # tokens from a line's mark to its next; each line begins elsewhere, so that none hides another's


@dataclass(frozen=True)
class Held:
    """nbytes: held by each cache in fast memory after 1, 2, 3, ... tokens. slots: of the sliding window. needed: bytes
    of all tokens' keys and values."""

    nbytes: dict[str, list[int]]
    slots: int
    needed: int


def held(tokens: int = 1000) -> Held:
    """What each cache for GPT-2 124M in bfloat16 holds when it is fed one token at a time, by its closed form."""
    options = {"sliding_window": {"chunk": 1}, "quantized": {"nbits": NBITS}}
    costs = {}
    for name in SHOWN:
        form = FORMS[name]
        config = GPTConfig(**GPT2, **({"window": WINDOW, "sinks": SINKS} if form.needs_window else {}))
        room = {"max_cache_len": config.context} if "max_cache_len" in form.options else {}
        costs[name] = kv_costs(name, config, 1, tokens, itemsize=BFLOAT16, **room, **options.get(name, {}))
    nbytes = {name: [cost.resident for cost in of] for name, of in costs.items()}
    return Held(nbytes, costs["sliding_window"][-1].slots, costs["concat"][-1].nbytes)


@drawn
def bytes_held(held: Held, theme: Theme) -> Picture:
    """A line for each cache: megabytes held against tokens, labelled at its end."""
    last, tokens = {name: nbytes[-1] for name, nbytes in held.nbytes.items()}, len(held.nbytes["concat"])
    window, rounded, offloaded = (mb(last[name]) for name in ("sliding_window", "quantized", "offloaded"))
    ways = f"a window of {WINDOW} and {SINKS} sinks, {NBITS} bits but for the newest {RESIDUAL}"
    picture = Picture(
        f"{tokens:,} tokens of GPT-2 need {mb(held.needed)} MB in bfloat16: a window of {WINDOW}\n"
        f"holds {window}, {NBITS} bits {rounded}, and offloading keeps {offloaded} in fast memory",
        listed(
            "Lines of megabytes held in fast memory against tokens that are fed one at a time, in bfloat16, with "
            f"{ways}: at {tokens} tokens, which need {mb(held.needed)},",
            (f"{name} holds {mb(nbytes)}" for name, nbytes in last.items()),
        ),
        theme,
    )
    picture.note(
        f"fed one token at a time; window {WINDOW} + {SINKS} sinks: {held.slots} slots; "
        f"{NBITS} bits: the newest {RESIDUAL} tokens exact"
    )
    (panel,) = picture.panels()
    for number, (name, nbytes) in enumerate(held.nbytes.items()):
        first = MARKED * number // len(held.nbytes)
        line = [each / 1e6 for each in nbytes]
        panel.plot(range(1, tokens + 1), line, drawstyle="steps-post", markevery=(first, MARKED), **theme.look(name))
    panel.set(xlabel="tokens", ylabel="megabytes in fast memory", xlim=(0, tokens), ylim=(0, None))
    panel.grid(axis="y")
    ends = [(tokens, nbytes / 1e6, f"{name} {mb(nbytes)}", name) for name, nbytes in last.items()]
    label_ends(panel, [(*end, theme.look(name)["color"]) for *end, name in ends])
    return picture
