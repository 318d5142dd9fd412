"""Time a token of every cache against context: measured, and what the closed forms say."""

import json

from minigpt.measure.recorded import DATA
from minigpt.show.plots.contestants import SHAPES
from minigpt.show.plots.labels import seconds_by_tokens
from minigpt.show.plots.style import Picture, Theme, drawn

RECORDED = DATA / "growth.json"


def recorded_growth() -> dict:
    """What `python -m minigpt bench --growth --json` printed."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


@drawn
def time_by_context(result: dict, theme: Theme) -> Picture:
    """Marks for the medians of the first batch, hollow where the step is compiled; thin lines for what the closed forms
    say. The result must have `none`, `concat` and `dynamic`."""
    cells = [cell for cell in result["cells"] if cell["batch"] == result["cells"][0]["batch"]]
    tokens = [cell["context"] for cell in cells]
    times = {
        line["name"]: [cell["lines"][at]["times"][-1] for cell in cells] for at, line in enumerate(cells[0]["lines"])
    }
    powers = {each["name"]: each["exponent"] for each in result["growth"] if each["batch"] == cells[0]["batch"]}
    slow, copying, fast = (f"{times[name][-1]['seconds']:.2g} s" for name in ("none", "concat", "dynamic"))
    title, machine = SHAPES.get(result["model"], result["model"]), result["machine"]
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}"
    where = f"{machine['processor']}, {threads}, torch {machine['torch']}"
    growing = ", ".join(f"{name} {of[-1]['seconds']:.2g} (power {powers[name]:.2f})" for name, of in times.items())
    picture = Picture(
        f"One more token after {tokens[-1]:,} of {title}: {slow} without a cache,\n"
        f"{copying} with concat, which copies all, and {fast} with dynamic",
        f"Seconds for one more token of {title} against context, on log axes, medians of {result['rounds']} rounds on "
        f"{where}, with the power of the context as which each grows: at {tokens[-1]} tokens {growing}.",
        theme,
    )
    picture.note(
        f"medians of {result['rounds']} rounds; hollow marks: a compiled step\nthin lines: what the cache reads, "
        "writes and copies, or the FLOPs, at the machine's own speed"
    )
    (panel,), ends = picture.panels(), []
    for name, of in times.items():
        cache, *compiled = name.split()
        look, seconds = theme.look(cache) | {"label": name}, [time["seconds"] for time in of]
        panel.plot(tokens, forms(of), color=look["color"], linewidth=1)
        marks = look | {"linestyle": "none", "markerfacecolor": theme.paper if compiled else look["color"]}
        panel.plot(tokens, seconds, **marks)
        ends.append((tokens[-1], seconds[-1], f"{name} {seconds[-1]:.2g}", look["color"]))
    seconds_by_tokens(panel, tokens, where, ends)
    return picture


def forms(of: list[dict]) -> list[float]:
    """What the closed form of the cache says, or where there is none the least."""
    return [time["least_seconds"] if time["predicted_seconds"] is None else time["predicted_seconds"] for time in of]
