"""Memory of real models against context, up to the context that each was made for."""

from dataclasses import dataclass

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.memory import held
from minigpt.measure.forms.real_models import load
from minigpt.show.plots.labels import label_ends, log_heights
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

KEEPS_ALL = "llama-3-70b", "llama-3-8b", "qwen3-32b"
KEEPS_LESS = "gemma-3-27b", "gpt-oss-120b", "mistral-7b", "deepseek-v3"
TITLES = "every layer keeps all tokens", "layers keep a window, or a latent"
BEGIN, MARKS = 512, (1024, 8192, 65536)  # tokens


@dataclass(frozen=True)
class Memory:
    """nbytes: of keys and values, in 16 bits, for each number of tokens up to the model's context. less: in words, how
    its layers keep less than all of them ("" if they keep all)."""

    nbytes: dict[int, int]
    less: str

    @property
    def end(self) -> tuple[int, float]:
        """The model's context, and the GiB that it takes."""
        tokens = max(self.nbytes)
        return tokens, self.nbytes[tokens] / 2**30


def contexts() -> dict[str, Memory]:
    """The memory of each model, whose layers with a window keep no more than that."""
    found = {}
    for name in KEEPS_ALL + KEEPS_LESS:
        model = load(name)
        cache = "sliding_window" if any(model.windows) else "concat"
        lengths = [tokens for tokens in (BEGIN * 2**power for power in range(20)) if tokens < model.context]
        found[name] = Memory({each: held(cache, model, each).nbytes for each in (*lengths, model.context)}, less(model))
    return found


def less(model: Architecture) -> str:
    if "latent" in model.kept:
        return "one latent for all heads"
    windows = list(filter(None, model.windows))
    return f"windows: {len(windows)} of {model.layers} layers" if windows else ""


@drawn
def real_models(found: dict[str, Memory], theme: Theme) -> Picture:
    """A line for each model, up to its context: GiB against tokens, once for models that keep all, once for others."""
    least, most = (pick(found, key=lambda name: found[name].end[1]) for pick in (min, max))
    (short, little), (long, much) = found[least].end, found[most].end
    picture = Picture(
        f"In 16 bits, one text as long as its model allows takes {little:.1f} GiB\n"
        f"({least}, {short:,} tokens) to {much:.1f} ({most}, {long:,})",
        listed(
            "Lines of GiB of one text's keys and values in 16 bits against tokens, on log axes, each up to the context "
            "of its model's config:",
            ("{} keeps {:.1f} at {}".format(name, *reversed(memory.end)) for name, memory in found.items()),
        ),
        theme,
    )
    panels = picture.panels(1, 2, sharex=True, sharey=True)
    halves = zip(panels, (KEEPS_ALL, KEEPS_LESS), TITLES, (theme.blue, theme.purple), strict=True)
    for panel, names, title, ink in halves:
        for name in names:
            nbytes = found[name].nbytes
            panel.plot(list(nbytes), [each / 2**30 for each in nbytes.values()], color=ink)
            panel.plot(*found[name].end, color=ink, marker="o", clip_on=False)
        panel.set(xscale="log", xlim=(BEGIN, 1.3 * long), xlabel="tokens (log scale)")
        panel.set_title(title, loc="left")
        log_heights(panel, "GiB of keys and values")
        panel.set_xticks(MARKS, [f"{tokens:,}" for tokens in MARKS])
        panel.minorticks_off()
    panels[1].set(ylabel="", ylim=(None, 40))  # with room for the names above
    said = {name: f"{name} {memory.end[1]:.1f}" for name, memory in found.items()}
    lowest = min(KEEPS_ALL, key=lambda name: found[name].nbytes[BEGIN])
    for name in KEEPS_ALL:  # above its line, but the lowest below
        across, up, offset = ("left", "top", (4, -6)) if name == lowest else ("right", "bottom", (16, 8))
        how = {"ha": across, "va": up, "textcoords": "offset points", "color": theme.blue}
        panels[0].annotate(said[name], found[name].end, offset, **how)
    ends = [(*found[name].end, f"{said[name]}\n{found[name].less}", theme.purple) for name in KEEPS_LESS]
    label_ends(panels[1], ends, gap=2.6)
    return picture
