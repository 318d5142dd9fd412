"""Where a decode step's time goes, part by part, against the least that the memory's own speed allows."""

from minigpt.measure.recorded import DATA
from minigpt.measure.timed.profile import Profile
from minigpt.show.plots.contestants import SHAPES, ms
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

RECORDED = DATA / "profile.json"
COLOURS = {  # what is multiplied in one hue, and by strength of it
    "weights": ("blue", 1.0),
    "head": ("blue", 0.5),
    "attention": ("green", 1.0),
    "cache": ("purple", 1.0),
    "other operations": ("purple", 0.4),
    "graph": ("green", 0.5),
    "Python": ("muted", 0.4),
}


def recorded_profile() -> Profile:
    """What `python -m minigpt figures --profile FILE` recorded on one machine."""
    return Profile.load(RECORDED)


@drawn
def profile(found: Profile, theme: Theme) -> Picture:
    """A panel for each model and a bar for each contestant, a piece for each part. An orange line: what must be read
    and written at the memory's own speed. The profile must be of the shapes `recall` and `gpt2`, with `dynamic` and
    `static compiled` of each."""
    small, large = (share(found.steps[shape]["dynamic"], "Python") for shape in ("recall", "gpt2"))
    eager, compiled = (of_limit(found, "gpt2", name) for name in ("dynamic", "static compiled"))
    machine, titles = found.machine, {shape: SHAPES[shape] for shape in found.steps}
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}"
    where = f"{machine['processor']}, {threads}, torch {machine['torch']}"
    told = (
        f"{name} of {titles[shape]} {ms(step['seconds'])} ("
        + ", ".join(f"{part} {share(step, part):.0%}" for part in COLOURS if part in step["parts"])
        + ")"
        for shape, of in found.steps.items()
        for name, step in of.items()
    )
    picture = Picture(
        f"With dynamic, Python takes {small:.0%} of a step of {titles['recall']}, {large:.0%} of\n"
        f"GPT-2's, at {eager:.0%} of the memory's speed; static compiled reaches {compiled:.0%}",
        listed(
            f"Bars of milliseconds for a decode step at {found.tokens} tokens, by part, the fastest of {found.rounds} "
            f"rounds on {where}:",
            told,
        ),
        theme,
    )
    picture.key({part: theme.mix(*how) for part, how in COLOURS.items()})
    speed = f"{found.bytes_per_second / 1e9:.0f} GB/s"
    titles["gpt2"] += f"; orange: bytes at {speed}"
    foot = f"milliseconds a step, at {found.tokens:,} tokens", where
    panels = picture.panels(1, len(found.steps), sharey=True)
    for panel, (shape, of), words in zip(panels, found.steps.items(), foot, strict=True):
        for place, step in enumerate(reversed(of.values())):
            left, least = 0.0, step["nbytes"] / found.bytes_per_second * 1e3
            for part, how in COLOURS.items():
                width = share(step, part) * step["seconds"] * 1e3
                panel.barh(place, width, left=left, color=theme.mix(*how), height=0.7, linewidth=0)
                left += width
            panel.plot([least, least], [place - 0.42, place + 0.42], color=theme.vermillion)
            panel.annotate(
                ms(step["seconds"]), (max(left, least), place), (6, 0), textcoords="offset points", va="center"
            )
        panel.set_yticks(range(len(of)), [name.replace(" ", "\n") for name in reversed(of)])
        panel.set_title(titles[shape], loc="left")
        panel.set(xlabel=words, xlim=(0, 1.2 * max(step["seconds"] for step in of.values()) * 1e3))
    return picture


def share(step: dict, part: str) -> float:
    """Of a step's time. Python's is a rest, and may be lost in noise."""
    return max(0.0, step["parts"].get(part, 0.0)) / step["seconds"]


def of_limit(found: Profile, shape: str, name: str) -> float:
    step = found.steps[shape][name]
    return step["nbytes"] / found.bytes_per_second / step["seconds"]
