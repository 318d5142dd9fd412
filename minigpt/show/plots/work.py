"""FLOPs with and without a cache: a token's, and all so far, split in what they are for."""

import itertools
from dataclasses import dataclass, fields

from minigpt.config import GPTConfig
from minigpt.measure.cost import Flops, decode_flops, prefill_flops
from minigpt.measure.pace import GPT2
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn

PARTS, STRENGTHS = [part.name for part in fields(Flops)], (0.45, 1.0, 0.7, 0.25)
NAMES = {part: part for part in PARTS} | {"mlp": "the MLP", "head": "the head"}
CONVENTIONS = "causal attention, logits of the last token"
UNITS = "GFLOP a token", "TFLOP so far"


@dataclass(frozen=True)
class Work:
    """Of each new token: its FLOPs without a cache, and with one. prompt: tokens before the first."""

    prompt: int
    without: list[Flops]
    cached: list[Flops]


def work(prompt: int = 128, new: int = 512) -> Work:
    """Of GPT-2 124M, by the closed forms, which equal what is counted: attention causal, logits of the last token."""
    config, how = GPTConfig(**GPT2), {"attention": "causal"}
    without = [prefill_flops(config, end, logits="last", **how) for end in range(prompt, prompt + new)]
    decode = [decode_flops(config, end, **how) for end in range(prompt + 1, prompt + new)]
    return Work(prompt, without, [without[0], *decode])


@drawn
def flops(work: Work, theme: Theme) -> Picture:
    """Two panels on a log axis: FLOPs of each token, and of all so far, a line for each way."""
    totals = {"none": [each.total for each in work.without], "dynamic": [each.total for each in work.cached]}
    sums = {name: list(itertools.accumulate(line)) for name, line in totals.items()}
    tokens = range(work.prompt + 1, work.prompt + len(work.without) + 1)
    (most, least), (none, cached) = ([line[-1] for line in lines.values()] for lines in (totals, sums))
    picture = Picture(
        f"{len(tokens)} tokens of GPT-2 after {work.prompt}: {none / 1e12:.1f} TFLOP without a cache,\n"
        f"{cached / 1e12:.3f} with one, {none / cached:.0f} times fewer; the last token's {most / least:.0f} times",
        f"Lines on a log axis, without and with a cache: the FLOPs of each of {len(tokens)} tokens, {most / 1e9:.0f} "
        f"against {least / 1e9:.2f} GFLOP for the last, and of all so far, {none / 1e12:.1f} against "
        f"{cached / 1e12:.3f} TFLOP, {CONVENTIONS}.",
        theme,
    )
    panels = picture.panels(1, 2)
    for panel, lines, scale, unit in zip(panels, (totals, sums), (1e9, 1e12), UNITS, strict=True):
        for name, line in lines.items():  # the first token is the prefill's, the same for both
            panel.plot(tokens[1:], [each / scale for each in line[1:]], markevery=64, **theme.look(name))
        panel.set(yscale="log", xlabel="tokens", ylabel=unit, xlim=(tokens[0], tokens[-1]))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.grid(axis="y")
        ends = [
            (tokens[-1], line[-1] / scale, f"{name} {line[-1] / scale:.3g}", theme.look(name)["color"])
            for name, line in lines.items()
        ]
        label_ends(panel, ends)
    panels[0].text(tokens[20], totals["dynamic"][-1] / 1e9 * 5, CONVENTIONS.replace(", ", ",\n"), color=theme.muted)
    return picture


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
        "Bands of a token's FLOPs by part: for the last token without a cache "
        + ", ".join(said(part, last["none"]) for part in PARTS)
        + "; with one "
        + ", ".join(said(part, kept) for part in PARTS)
        + ".",
        theme,
    )
    panels, tokens = picture.panels(1, 2), range(work.prompt + 1, work.prompt + len(work.without))
    titles = "Without a cache", f"With a cache, an axis {times:.0f} times finer"
    for panel, name, words, steps in zip(panels, last, titles, (work.without[1:], work.cached[1:]), strict=True):
        below, ends = [0.0] * len(steps), []
        for part, strength in zip(PARTS, STRENGTHS, strict=True):
            above = [low + getattr(step, part) / 1e9 for low, step in zip(below, steps, strict=True)]
            panel.fill_between(tokens, below, above, color=theme.mix(theme.look(name)["color"], strength), linewidth=0)
            ends.append((tokens[-1], (below[-1] + above[-1]) / 2, said(part, last[name]), theme.ink))
            below = above
        panel.set(xlabel="tokens", ylabel="GFLOP a token", xlim=(tokens[0], tokens[-1]), ylim=(0, None))
        panel.set_title(words, loc="left")
        label_ends(panel, ends)
    return picture


def said(part: str, whole: Flops) -> str:
    """the MLP 42%"""
    return f"{NAMES[part]} {100 * getattr(whole, part) / whole.total:.2g}%"
