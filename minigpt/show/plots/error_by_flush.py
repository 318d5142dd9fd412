"""How the error of a quantized cache's oldest tokens grows, or not, as more tokens come."""

from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed


@drawn
def error_by_flush(errors: dict[str, list[float]], theme: Theme) -> Picture:
    """A line for each way to round: the rms error of the prompt's keys, as they are read after each flush.

    errors: for each way by its name, one for each flush, the prompt's first.
    """
    growth = {name: line[-1] / line[0] for name, line in errors.items()}
    worst = max(growth, key=growth.__getitem__)
    flushes = len(errors[worst])
    title = f"{worst}: after {flushes - 1} more flushes\nthe oldest tokens are {growth[worst]:.1f} times as wrong"
    parts = (f"{name} goes from {line[0]:.3f} to {line[-1]:.3f}" for name, line in errors.items())
    alt = listed(f"Lines of the prompt's rms error over {flushes} flushes:", parts)
    picture = Picture(title, alt, theme, size=(8.0, 4.2))
    (panel,) = picture.panels()
    inks = theme.vermillion, theme.purple, theme.green, theme.blue
    ends = []
    for (name, line), ink in zip(errors.items(), inks, strict=True):
        panel.plot(range(1, flushes + 1), line, color=ink, marker="o")
        ends.append((flushes, line[-1], name, ink))
    panel.set(xlabel="flush (1: that of the prompt)", ylabel="rms error of the prompt's keys")
    panel.set(xlim=(0.8, flushes), ylim=(0, None))
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
