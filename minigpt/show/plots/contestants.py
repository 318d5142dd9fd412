"""Time a token of caches and libraries in a race, against the least that the machine allows."""

import json

from minigpt.cache import CACHES
from minigpt.measure.recorded import DATA
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

RECORDED = DATA / "bench.json"
SHAPES = {"gpt2": "GPT-2 124M", "small": "a 4 x 128 GPT", "recall": "a 3 x 128 GPT"}


def recorded_race() -> dict:
    """What `python -m minigpt bench --json` printed."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def is_ours(name: str) -> bool:
    return name.split()[0] in CACHES


@drawn
def contestants(result: dict, theme: Theme) -> Picture:
    """A bar for each contestant of the first batch and context: the median, and a whisker from the fastest round to
    the slowest. An orange line in each bar: the least that the closed forms and the machine's own speed allow it."""
    cell = result["cells"][0]
    lines = sorted(cell["lines"], key=lambda line: line["times"][-1]["seconds"], reverse=True)
    times = {line["name"]: line["times"][-1] for line in lines}
    best = next(name for name in reversed(times) if is_ours(name))
    versus = times[best]["ratios"][0]
    title, machine = SHAPES.get(result["model"], result["model"]), result["machine"]
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}"
    where = f"{machine['processor']}, {threads}, torch {machine['torch']}"
    rows = f", {cell['batch']} rows" if cell["batch"] > 1 else ""
    picture = Picture(
        f"{best}: {ms(times[best]['seconds'])} ms a token of {title}, {versus['ratio']:.1f} times\nas fast as "
        f"{versus['versus']}, {times[best]['of_limit']:.0%} of the machine's own speed",
        listed(
            f"Bars of milliseconds a token of {title} after a prompt of {cell['context']} tokens{rows}, medians of "
            f"{result['rounds']} rounds on {where}:",
            (f"{name} {ms(time['seconds'])} (the least {ms(time['least_seconds'])})" for name, time in times.items()),
        ),
        theme,
    )
    picture.note(
        f"after {cell['context']:,} tokens of prompt{rows}; bars: medians of {result['rounds']} rounds, whiskers: "
        "fastest to slowest\ntimes as fast: the median of the rounds' own ratios, not the ratio of two bars\n"
        f"orange: lower bound, reading at the memory's own {cell['bytes_per_second'] / 1e9:.0f} GB/s, or the FLOPs"
    )
    (panel,) = picture.panels()
    for place, (name, time) in enumerate(times.items()):
        median, low, high = (time[key] * 1e3 for key in ("seconds", "seconds_low", "seconds_high"))
        colour, least = theme.blue if is_ours(name) else theme.muted, time["least_seconds"] * 1e3
        panel.barh(place, median, color=theme.mix(colour, 0.55), height=0.7)
        panel.errorbar(median, place, xerr=[[median - low], [high - median]], color=theme.ink, linewidth=1.5)
        panel.plot([least, least], [place - 0.35, place + 0.35], color=theme.vermillion)
        panel.annotate(ms(time["seconds"]), (high, place), (6, 0), textcoords="offset points", va="center")
    panel.set_yticks(range(len(times)), list(times))
    panel.set(
        xlabel=f"milliseconds a token, {where}",
        xlim=(0, 1.12 * max(time["seconds_high"] for time in times.values()) * 1e3),
    )
    return picture


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"
