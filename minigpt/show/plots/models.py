"""Memory of real models against context."""

from minigpt.measure.architecture import load
from minigpt.measure.memory import windowed_nbytes
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn

# Few enough to tell apart: all heads, grouped heads, windows in most layers, and one latent for all heads.
SHOWN = "gpt2-xl", "llama-3-8b", "llama-3-70b", "mistral-7b", "qwen3-0.6b", "gemma-3-27b", "deepseek-v3", "gpt-oss-120b"
CONTEXTS = [2**power for power in range(10, 18)]
GPU = 24 * 2**30  # bytes


def contexts(names: tuple[str, ...] = SHOWN) -> dict[str, dict[int, int]]:
    """Of each model, bytes by tokens of context, in 16 bits, where a layer with a window keeps just that."""
    return {name: {tokens: windowed_nbytes(load(name), tokens) for tokens in CONTEXTS} for name in names}


@drawn
def real_models(found: dict[str, dict[int, int]], theme: Theme) -> Picture:
    """A line for each model: GiB against tokens, coloured by what its layers keep."""
    longest = max(next(iter(found.values())))
    last = {name: nbytes[longest] / 2**30 for name, nbytes in found.items()}
    most, least = max(last, key=last.get), min(last, key=last.get)
    picture = Picture(
        f"At {longest:,} tokens {most} keeps {last[most]:.1f} GiB\nof keys and values, and {least} {last[least]:.1f}",
        f"Lines of GiB in 16 bits against tokens, both doubling from mark to mark: at {longest} tokens "
        + ", ".join(f"{name} keeps {gib:.1f}" for name, gib in last.items())
        + ".",
        theme,
    )
    (panel,) = picture.panels()
    inks = {name: theme.muted for name in found} | {name: getattr(theme, colour) for name, colour in KINDS.items()}
    for name, nbytes in found.items():
        panel.plot(nbytes, [each / 2**30 for each in nbytes.values()], color=inks[name])
    panel.set(xscale="log", yscale="log", xlabel="tokens of context", ylabel="GiB of keys and values")
    panel.set_xlim(min(CONTEXTS), longest)
    return picture
