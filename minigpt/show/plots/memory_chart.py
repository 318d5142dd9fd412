"""The chart of `python -m minigpt memory`: bytes against context."""

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from minigpt.measure.forms.memory import Plan
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import words

DOUBLINGS, POINTS = 8, 16  # doublings of the context from left to right; points of a line in each


@drawn
def memory_chart(name: str, plans: list[Plan], tokens: int, batch: int, theme: Theme) -> Picture:
    """A line for each cache, labelled at its end: bytes held in fast memory against the tokens of a row."""
    rows = f"{batch:,} rows of {tokens:,} tokens" if batch > 1 else f"{tokens:,} tokens"
    lines = [plan for plan in plans if plan.cache != "concat"]  # static holds the same
    ends = {plan: f"{label(plan)} {words(plan.here(tokens))}" for plan in lines}
    picture = Picture(
        f"{name}: keys and values of {rows}\ntake {finding(plans, tokens)}",
        f"Lines of bytes held in fast memory against context, both axes doubling: for {name} and {rows}, "
        + "; ".join(ends.values())
        + ".",
        theme,
    )
    (panel,) = picture.panels()
    contexts = sorted(
        {max(1, round(tokens / 2 ** (point / POINTS))) for point in range(DOUBLINGS * POINTS + 1)}, reverse=True
    )
    for plan in lines:
        nbytes = [float(plan.here(context)) for context in contexts]  # as numbers of any size can be drawn
        panel.plot(contexts, nbytes, markevery=2 * POINTS, clip_on=False, **theme.look(plan.cache))
    panel.set(xscale="log", yscale="log", xlim=(contexts[-1], max(2, tokens)))
    panel.set(xlabel="tokens of a row (log scale)", ylabel="held in fast memory (log scale)")
    mark(panel.xaxis, lambda number: f"{number:,}")
    mark(panel.yaxis, lambda nbytes: words(nbytes).replace(".0 ", " "))
    panel.grid(axis="y")
    label_ends(
        panel,
        [(float(tokens), float(plan.here(tokens)), end, theme.look(plan.cache)["color"]) for plan, end in ends.items()],
    )
    return picture


def label(plan: Plan) -> str:
    kind = {"static": "concat, static", "dynamic": "dynamic, at most", "quantized": bits(plan)}
    return kind.get(plan.cache, plan.cache)


def finding(plans: list[Plan], tokens: int) -> str:
    """The bytes with all numbers in 16 bits, in fewer bits, and with windows only."""
    exact, rounded = plans[0], min((plan for plan in plans if plan.bits < 16), key=lambda plan: abs(plan.bits - 4))
    parts = [words(exact.here(tokens)), f"{words(rounded.here(tokens))} in {bits(rounded)}"]
    parts += [f"{words(plan.here(tokens))} in windows" for plan in plans if plan.cache == "sliding_window"]
    return ", or ".join(parts)


def bits(plan: Plan) -> str:
    return f"{plan.bits} bits" if plan.bits > 1 else "1 bit"


def mark(axis, text) -> None:
    """Mark a logarithmic axis at every power of 4."""
    axis.set_major_locator(FixedLocator([4.0**power for power in range(100)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda number, _: text(round(number))))
