"""FLOPs with and without a cache: a token's, and all so far, split in what they are for."""

from dataclasses import dataclass, fields

from minigpt.config import GPTConfig
from minigpt.measure.cost import Flops, decode_flops, prefill_flops
from minigpt.show.plots.held import GPT2
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn

PARTS = [part.name for part in fields(Flops)]


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
    (most, least), (none, cached) = (
        [line[-1] for line in lines.values()] for lines in (totals, sums)
    )
    picture = Picture(
        f"{len(tokens)} tokens of GPT-2 take {none / 1e12:.1f} TFLOP without a cache, {cached / 1e12:.3f} with one:\n"
        f"{none / cached:.0f} times less, and {most / least:.0f} times for the last token",
        f"Lines on a log axis, without and with a cache: the FLOPs of each of {len(tokens)} tokens, {most / 1e9:.0f} "
        f"against {least / 1e9:.2f} GFLOP for the last, and of all so far, {none / 1e12:.1f} against "
        f"{cached / 1e12:.3f} TFLOP.",
        theme,
    )
    panels = picture.panels(1, 2)
    for panel, lines, scale, unit in zip(panels, (totals, sums), (1e9, 1e12), UNITS, strict=True):
        for name, line in lines.items():
            panel.plot(tokens, [each / scale for each in line], markevery=64, **theme.look(name))
        panel.set(yscale="log", xlabel="token", ylabel=unit)
        panel.grid(axis="y")
    return picture
