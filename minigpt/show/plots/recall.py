"""What each cache remembers, by the distance of the fact that is asked for."""

from minigpt.measure.quality.recording import Recording
from minigpt.recall.questions import BINS
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.recorded import as_large, bits, rounded, smallest_good, windows
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

DASHES = {"4 bits": "-.", "2 bits": "--", "1 bit": ":"}  # the others are solid, but for the wider window


@drawn
def recall_by_distance(recording: Recording, theme: Theme) -> Picture:
    """Steps over the bins of distance: the exact cache, each number of bits, two windows. Those that answer as many in
    every bin are drawn as one line, with all names at its end. Whiskers are 95% intervals."""
    scores = recording.scores
    good, window = smallest_good(scores), as_large(scores)
    wider = next(each for each in windows(scores) if each.nbytes > window.nbytes)
    named = {"exact": next(score for score in scores if score.setting.cache == "dynamic")}
    named |= {bits(score): score for score in reversed(rounded(scores))}
    named |= {f"window {score.setting.window}": score for score in (window, wider)}
    (_, near), (far, last) = BINS[0], BINS[-1]
    picture = Picture(
        f"A window of {window.setting.window} remembers {window.by_distance[near]:.0%} up to {near} tokens back, "
        f"{window.by_distance[last]:.0%}\nfrom {far} to {last}; {bits(good)}, in {good.nbytes / window.nbytes:.0%} of "
        f"its bytes, {good.by_distance[last]:.0%}",
        listed(
            f"Steps of questions answered right over bins of {near} tokens from fact to answer: from {far} to {last}",
            (f"{name} {score.by_distance[last]:.0%}" for name, score in named.items()),
        ),
        theme,
    )
    picture.note(
        f"{recording.questions} questions a bin, whiskers: 95% intervals; windows with {window.setting.sinks} sinks"
    )
    (panel,), ends = picture.panels(), []
    lines: dict[tuple, list[str]] = {}
    for name, score in named.items():
        lines.setdefault(tuple(score.right), []).append(name)
    for number, names in enumerate(lines.values()):
        score = named[names[0]]
        look = theme.look(score.setting.cache) | {"linestyle": "none"}
        shares = [100 * share for share in score.by_distance.values()]
        dashes = (0, (3, 1)) if score is wider else DASHES.get(names[0], "-")
        edges = [low - 1 for low, _ in BINS] + [last]
        panel.stairs(shares, edges, baseline=None, color=look["color"], linestyle=dashes, linewidth=2.5)
        middles = [high - near / 2 + 7 * (number - len(lines) // 2) for _, high in BINS]  # no whisker hides another
        low, high = zip(*score.intervals_by_distance.values(), strict=True)
        down = [max(0.0, share - 100 * end) for share, end in zip(shares, low, strict=True)]
        up = [max(0.0, 100 * end - share) for share, end in zip(shares, high, strict=True)]
        panel.errorbar(middles, shares, [down, up], elinewidth=1.2, **look)
        ends += [(last, shares[-1], name, theme.look(named[name].setting.cache)["color"]) for name in names]
    panel.set(xlabel=f"tokens from the fact to the answer, in bins of {near}", ylabel="questions answered right, %")
    panel.set(xlim=(0, last), ylim=(-3, 103), xticks=edges)
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
