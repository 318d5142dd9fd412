"""A token's FLOPs with and without a cache, split by what they are for."""

from dataclasses import fields

from minigpt.measure.forms.flops import Flops
from minigpt.show.plots.flops import CONVENTIONS, Work
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn

PARTS, STRENGTHS = [part.name for part in fields(Flops)], (0.45, 1.0, 0.7, 0.25)
NAMES = {part: part for part in PARTS} | {"mlp": "the MLP", "head": "the head"}


@drawn
def flops_by_part(work: Work, theme: Theme) -> Picture:
    """Two panels, without and with a cache, each with an axis of its own: a token's FLOPs, a band for each part."""
    last = {name: each[-1] for name, each in (("none", work.without), ("dynamic", work.cached))}
    kept = last["dynamic"]
    largest = max(PARTS, key=lambda part: getattr(kept, part))
    times = last["none"].total / last["dynamic"].total
    picture = Picture(
        f"With a cache token {work.prompt + len(work.without)} takes {times:.0f} times fewer FLOPs;\n"
        f"of what is left: {said(largest, kept)}, {said('attention', kept)}",
        f"Bands of a token's FLOPs by part, of GPT-2 after a prompt of {work.prompt}, counting {CONVENTIONS}: for the "
        "last token without a cache "
        + ", ".join(said(part, last["none"]) for part in PARTS)
        + "; with one "
        + ", ".join(said(part, kept) for part in PARTS)
        + ".",
        theme,
    )
    picture.note(f"GPT-2, prompt of {work.prompt}; {CONVENTIONS}")
    panels, tokens = picture.panels(1, 2), range(work.prompt + 1, work.prompt + len(work.without))
    titles = "Without a cache", f"With a cache, an axis {times:.0f} times finer"
    for panel, name, words, steps in zip(panels, last, titles, (work.without[1:], work.cached[1:]), strict=True):
        below, ends = [0.0] * len(steps), []
        for part, strength in zip(PARTS, STRENGTHS, strict=True):
            above = [low + getattr(step, part) / 1e9 for low, step in zip(below, steps, strict=True)]
            panel.fill_between(tokens, below, above, color=theme.mix(theme.look(name)["color"], strength), linewidth=0)
            ends.append((tokens[-1], (below[-1] + above[-1]) / 2, said(part, last[name]), theme.ink))
            below = above
        panel.set(xlabel="tokens so far", ylabel="GFLOP a token", xlim=(tokens[0], tokens[-1]), ylim=(0, None))
        panel.set_title(words, loc="left")
        label_ends(panel, ends)
    return picture


def said(part: str, whole: Flops) -> str:
    """the MLP 42%"""
    return f"{NAMES[part]} {100 * getattr(whole, part) / whole.total:.2g}%"
