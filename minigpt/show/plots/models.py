"""Memory of real models against context."""

from dataclasses import dataclass

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.memory import held
from minigpt.measure.forms.real_models import load
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

SHOWN = (
    "llama-3-70b",
    "qwen3-32b",
    "llama-3-8b",
    "qwen3-0.6b",
    "gemma-3-27b",
    "gpt-oss-120b",
    "mistral-7b",
    "deepseek-v3",
)
TOKENS = [2**power for power in range(10, 18)]
KINDS = {  # colour, and what is kept
    "all": ("blue", "every layer keeps all tokens"),
    "window": ("purple", "some keep a window"),
    "latent": ("ink", "all heads share one latent"),
}


@dataclass(frozen=True)
class Memory:
    """nbytes: of keys and values, in 16 bits, for each number of tokens. kind: see KINDS."""

    kind: str
    nbytes: dict[int, int]


def contexts() -> dict[str, Memory]:
    """The memory of each model, whose layers with a window keep no more than that."""
    found = {}
    for name in SHOWN:
        model = load(name)
        kind = "window" if any(model.windows) else "latent" if "latent" in model.kept else "all"
        found[name] = Memory(kind, {tokens: kept(model, tokens) for tokens in TOKENS})
    return found


def kept(model: Architecture, tokens: int) -> int:
    return held("sliding_window" if any(model.windows) else "concat", model, tokens).nbytes


@drawn
def real_models(found: dict[str, Memory], theme: Theme) -> Picture:
    """A line for each model: GiB against tokens, coloured by what its layers keep."""
    lines = {name: {tokens: of / 2**30 for tokens, of in memory.nbytes.items()} for name, memory in found.items()}
    ticks = list(next(iter(lines.values())))
    last = {name: line[ticks[-1]] for name, line in lines.items()}
    most, least = max(last, key=last.get), min(last, key=last.get)
    unit = "GiB of keys and values"
    title = f"At {ticks[-1]:,} tokens {most} keeps {last[most]:.1f}\nand {least} {last[least]:.1f} {unit}"
    shown = f"Lines of {unit} in 16 bits against tokens: at {ticks[-1]} tokens"
    picture = Picture(title, listed(shown, (f"{name} keeps {gib:.1f}" for name, gib in last.items())), theme)
    (panel,) = picture.panels()
    colours = {name: getattr(theme, KINDS[memory.kind][0]) for name, memory in found.items()}
    for name, line in lines.items():
        panel.plot(list(line), list(line.values()), color=colours[name])
    panel.set(xscale="log", yscale="log", xlabel="tokens of context", ylabel=unit)
    panel.set_xticks(ticks, [f"{tokens // 1024}k" for tokens in ticks])
    panel.minorticks_off()
    panel.set_xlim(ticks[0], ticks[-1])
    panel.yaxis.set_major_formatter("{x:g}")
    panel.grid(axis="y")
    for place, (colour, words) in enumerate(KINDS.values()):
        panel.text(0.03, 0.94 - 0.09 * place, words, transform=panel.transAxes, color=getattr(theme, colour))
    label_ends(panel, [(ticks[-1], last[name], f"{name} {last[name]:.1f}", colours[name]) for name in found])
    return picture
