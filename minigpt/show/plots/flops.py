"""FLOPs with and without a cache: of each token, and of all tokens so far."""

import itertools
from dataclasses import dataclass

from minigpt.config import GPTConfig
from minigpt.measure.forms.flops import Flops, decode_flops, prefill_flops
from minigpt.measure.forms.real_models import GPT2
from minigpt.show.plots.labels import label_ends, log_heights
from minigpt.show.plots.style import Picture, Theme, drawn

CONVENTIONS = "the causal half of attention, logits of the last token only, a multiply-add as 2"
UNITS = "GFLOP a token", "TFLOP in all"


@dataclass(frozen=True)
class Work:
    """The FLOPs of each new token, without a cache and with one. prompt: tokens before the first of them."""

    prompt: int
    without: list[Flops]
    cached: list[Flops]


def work(prompt: int = 128, new: int = 512) -> Work:
    """The work of GPT-2 124M, by the closed forms: causal attention, logits of the last token."""
    config = GPTConfig(**GPT2)
    without = [prefill_flops(config, end, attention="causal", logits="last") for end in range(prompt, prompt + new)]
    decode = [decode_flops(config, end, attention="causal") for end in range(prompt + 1, prompt + new)]
    return Work(prompt, without, [without[0], *decode])


@drawn
def flops(work: Work, theme: Theme) -> Picture:
    """Two panels with log axes: FLOPs of each token, and of all so far, a line for each way."""
    totals = {"none": [each.total for each in work.without], "dynamic": [each.total for each in work.cached]}
    sums = {name: list(itertools.accumulate(line)) for name, line in totals.items()}
    tokens = range(work.prompt + 1, work.prompt + len(work.without) + 1)
    (most, least), (none, cached) = ([line[-1] for line in lines.values()] for lines in (totals, sums))
    picture = Picture(
        f"{len(tokens)} tokens after a prompt of {work.prompt}: {none / 1e12:.1f} TFLOP without a cache,\n"
        f"{cached / 1e12:.3f} with one, {none / cached:.0f} times fewer; the last token {most / least:.0f} times",
        f"Lines on log axes, without and with a cache: the FLOPs of each of {len(tokens)} tokens of GPT-2 after a "
        f"prompt of {work.prompt}, {most / 1e9:.0f} against {least / 1e9:.2f} GFLOP for the last, and of all so far, "
        f"prompt included, {none / 1e12:.1f} against {cached / 1e12:.3f} TFLOP, counting {CONVENTIONS}.",
        theme,
    )
    picture.note(f"GPT-2, prompt of {work.prompt}; {CONVENTIONS}")
    panels = picture.panels(1, 2)
    for panel, lines, scale, unit in zip(panels, (totals, sums), (1e9, 1e12), UNITS, strict=True):
        for name, line in lines.items():  # the first token is the prefill's, the same for both
            panel.plot(tokens[1:], [each / scale for each in line[1:]], markevery=(32, 64), **theme.look(name))
        panel.set(xlabel="tokens so far", xlim=(tokens[0], tokens[-1]))
        log_heights(panel, unit)
        ends = [
            (tokens[-1], line[-1] / scale, f"{name} {line[-1] / scale:.3g}", theme.look(name)["color"])
            for name, line in lines.items()
        ]
        label_ends(panel, ends)
    return picture
