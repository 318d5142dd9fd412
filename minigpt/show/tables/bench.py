"""The tables of `python -m minigpt bench`."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from minigpt.show.tables.layout import ROOM, WIDTH, print_table, print_words, table_of

TITLES = {"first_token": "time to the\nfirst token", "token": "time a token"}


def report(result: dict, console: Console) -> None:
    """Print, for each batch and context, the times of all contestants; then how they grow, if contexts differ. Each
    table comes after what its words mean."""
    weights = ", random weights" if result["random_weights"] else ""
    rounds = "one round" if result["rounds"] == 1 else f"{result['rounds']} rounds"
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    print_words(
        f"{result['model']}{weights}. Medians of {rounds}, in which all take turns (lowest-highest). Times as fast as "
        f"{', '.join(result['versus'])}: above 1 is faster. Of the limit: the share of the machine's own speed that is "
        "reached, of memory's (a plain sum) or the processor's (a large product), whichever takes longer. The machine: "
        f"{machine}.",
        console,
    )
    for cell in result["cells"]:
        print_words(f"{where(cell)}, {result['new_tokens']:,} new. {' '.join(remarks(cell))}", console)
        for at, time in enumerate(cell["lines"][0]["times"]):
            print_table(times(cell, at, TITLES[time["of"]], console), console)
    for batch in dict.fromkeys(each["batch"] for each in result["growth"]):
        print_words(
            f"How does time a token grow with the context, at {rows(batch)}? In ms. Each second line: if all that the "
            "cache reads, writes and copies goes at the memory's own speed (where no closed form says, the limit). "
            "Power: the line grows as the context to this power.",
            console,
        )
        print_table(growth(result, batch), console)


def rows(batch: int) -> str:
    return "1 row" if batch == 1 else f"{batch:,} rows"


def where(cell: dict) -> str:
    return f"{rows(cell['batch'])}, {cell['context']:,} tokens of prompt"


def remarks(cell: dict) -> list[str]:
    """What the limit is, what the warm-up took, and whose tokens are not all the uncached ones."""
    products = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, rate in cell["flops_per_second"].items())
    calls = ", ".join(f"{line['name']} {line['first_call_seconds']:.2g}" for line in cell["lines"])
    said = [
        f"The limit: {cell['bytes_per_second'] / 1e9:.1f} GB/s, {products}.",
        f"A first call, apart, took these seconds: {calls}.",
    ]
    if any(time["of_limit"] > 1 for line in cell["lines"] for time in line["times"]):
        said.append("Above 100%: what is read fits into the processor's caches, which are faster than memory.")
    return said + [
        f"{line['name']}: {line['tokens_as_uncached']} of {line['tokens']} tokens as uncached."
        for line in cell["lines"]
        if line["tokens_as_uncached"] < line["tokens"]
    ]


def times(cell: dict, at: int, title: str, console: Console) -> Table:
    """A line for each contestant; where that is too wide, two: the ranges stand below their medians."""
    wide = filled(cell, at, title)
    fits = Measurement.get(console, console.options.update_width(ROOM), wide).maximum <= WIDTH
    return wide if fits else filled(cell, at, title, below=True)


def filled(cell: dict, at: int, title: str, below: bool = False) -> Table:
    a_row = cell["batch"] > 1 and title == TITLES["token"]
    versus = [f"times\n{ratio['versus']}" for ratio in cell["lines"][0]["times"][at]["ratios"]]
    if below:
        versus = [name.replace("_", "_\n").replace(" ", "\n") for name in versus]
    table = table_of(title, "ms", *["ms\na row"] * a_row, *versus, "of the\nlimit")
    for line in cell["lines"]:
        time = line["times"][at]
        middles = ms(time["seconds"]), *(f"{each['ratio']:.2f}" for each in time["ratios"])
        ranges = (
            f"({ms(time['seconds_low'])}-{ms(time['seconds_high'])})",
            *(f"({each['low']:.2f}-{each['high']:.2f})" for each in time["ratios"]),
        )
        first, *others = middles if below else map(" ".join, zip(middles, ranges, strict=True))
        table.add_row(
            line["name"], first, *[ms(time["seconds"] / cell["batch"])] * a_row, *others, f"{time['of_limit']:.0%}"
        )
        if below:
            table.add_row("", ranges[0], *[""] * a_row, *ranges[1:], style="dim")
    return table


def growth(result: dict, batch: int) -> Table:
    cells = [cell for cell in result["cells"] if cell["batch"] == batch]
    table = table_of("tokens of prompt", *(f"{cell['context']:,}" for cell in cells), "power", gap=1)
    for at, found in enumerate(each for each in result["growth"] if each["batch"] == batch):
        of = [cell["lines"][at]["times"][-1] for cell in cells]
        key = "least" if found["predicted_exponent"] is None else "predicted"
        name, _, how = found["name"].partition(" ")
        table.add_row(name, *(ms(time["seconds"]) for time in of), f"{found['exponent']:.2f}")
        forms = *(ms(time[f"{key}_seconds"]) for time in of), f"{found[f'{key}_exponent']:.2f}"
        table.add_row(how, *forms, style="dim")
    return table


def ms(seconds: float) -> str:
    """Three digits that matter, and no more: 0.0123, 1.23, 123, 12345."""
    return f"{seconds * 1e3:.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"
