"""The tables of `python -m minigpt bench`."""

from rich import box
from rich.console import Console
from rich.table import Table

TITLES = {"first_token": "Time to the first token", "token": "Time a token"}


def report(result: dict, console: Console) -> None:
    """Print, for each batch and context, the times of all contestants; then how they grow, if contexts differ."""
    weights = ", random weights" if result["random_weights"] else ""
    console.print(
        f"{result['model']}{weights}; medians of {result['rounds']} rounds, all in turns (lowest-highest)",
        highlight=False,
    )
    for cell in result["cells"]:
        console.print(f"\n{where(cell)}, {result['new_tokens']:,} new", style="bold", highlight=False)
        for at, time in enumerate(cell["lines"][0]["times"]):
            console.print(times(cell, at, TITLES[time["of"]]))
        console.print("\n".join(foot(cell)), style="dim", highlight=False)
    for batch in dict.fromkeys(each["batch"] for each in result["growth"]):
        console.print(growth(result, batch))
        console.print(GROWTH, style="dim", highlight=False)
    console.print("\n" + ", ".join(f"{key} {value}" for key, value in result["machine"].items()), style="dim")


def table(title: str) -> Table:
    how = {"title_justify": "left", "title_style": "", "show_edge": False, "padding": (0, 1, 0, 0)}
    return Table(title=f"\n{title}", box=box.SIMPLE_HEAD, **how)


def times(cell: dict, at: int, title: str) -> Table:
    rows = cell["batch"] > 1 and title == TITLES["token"]
    names = [ratio["versus"] for ratio in cell["lines"][0]["times"][at]["ratios"]]
    versus = ["times\n" + name.replace("_", "_\n").replace(" ", "\n") for name in names]
    beside = " " if len(versus) == 1 else "\n"  # else it is too wide
    made = table(title)
    made.add_column("", no_wrap=True)
    for heading in ("ms", *["ms\na row"] * rows, *versus, "of the\nlimit"):
        made.add_column(heading, justify="right")
    for line in cell["lines"]:
        time = line["times"][at]
        made.add_row(
            line["name"],
            f"{ms(time['seconds'])}{beside}({ms(time['seconds_low'])}-{ms(time['seconds_high'])})",
            *[ms(time["seconds"] / cell["batch"])] * rows,
            *(f"{each['ratio']:.2f}{beside}({each['low']:.2f}-{each['high']:.2f})" for each in time["ratios"]),
            f"{time['of_limit']:.0%}",
        )
    return made


def where(cell: dict) -> str:
    rows = "1 row" if cell["batch"] == 1 else f"{cell['batch']:,} rows"
    return f"{rows}, {cell['context']:,} tokens of prompt"


def foot(cell: dict) -> list[str]:
    """What the limit is, what the warm-up took, and whose tokens are not all the uncached ones."""
    products = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, rate in cell["flops_per_second"].items())
    lines = [f"limit: {cell['bytes_per_second'] / 1e9:.1f} GB/s (a plain sum), {products} (a large product)"]
    calls = (f"{line['name']} {line['first_call_seconds']:.2g}" for line in cell["lines"])
    lines.append(f"first call, apart, in seconds: {', '.join(calls)}")
    if any(line["times"][-1]["of_limit"] > 1 for line in cell["lines"]):
        lines.append("above 100%: what is read fits into the processor's caches, which are faster than memory")
    for line in cell["lines"]:
        if line["tokens_as_uncached"] < line["tokens"]:
            lines.append(f"{line['name']}: {line['tokens_as_uncached']} of {line['tokens']} tokens as uncached")
    return lines


GROWTH = (
    "Each second line: if all that the cache reads, writes and copies goes at the memory's own speed (where no closed "
    "form says, the limit). Last: the power of the context with which the line grows."
)


def growth(result: dict, batch: int) -> Table:
    cells = [cell for cell in result["cells"] if cell["batch"] == batch]
    rows = f", {batch:,} rows" if batch > 1 else ""
    made = table(f"Time a token against context, in ms{rows}")
    made.add_column("", no_wrap=True)
    for heading in (*(f"{cell['context']:,}" for cell in cells), "power"):
        made.add_column(heading, justify="right", no_wrap=True)
    for at, found in enumerate(each for each in result["growth"] if each["batch"] == batch):
        of = [cell["lines"][at]["times"][-1] for cell in cells]
        key = "least" if found["predicted_exponent"] is None else "predicted"
        made.add_row(found["name"], *(ms(time["seconds"]) for time in of), f"{found['exponent']:.2f}")
        forms = *(ms(time[f"{key}_seconds"]) for time in of), f"{found[f'{key}_exponent']:.2f}"
        made.add_row("", *forms, style="dim")
    return made


def ms(seconds: float) -> str:
    """Three digits that matter, and no more: 0.0123, 1.23, 123, 12345."""
    return f"{seconds * 1e3:.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"
