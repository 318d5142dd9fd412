"""What each cache remembers, by the distance of the fact that is asked for."""

from minigpt.measure.quality.recording import Recording
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.recorded import bits, rounded, smallest_good, windows
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed


@drawn
def recall_by_distance(recording: Recording, theme: Theme) -> Picture:
    """A line for each: the exact cache, each number of bits, two windows; whiskers are 95% intervals."""
    scores = recording.scores
    (exact,) = (score for score in scores if score.setting.cache == "dynamic")
    shown = [(exact, "exact"), *((score, bits(score)) for score in reversed(rounded(scores)))]
    shown += [(score, f"window {score.setting.window}") for score in windows(scores)[1:3]]
    good = smallest_good(scores)
    far, near = max(exact.by_distance), min(exact.by_distance)
    window = shown[-1][0]
    picture = Picture(
        f"A window of {window.setting.window} remembers {window.by_distance[near]:.0%} at {near} tokens' distance and\n"
        f"{window.by_distance[far]:.0%} at {far}; {bits(good)}, in {good.nbytes / window.nbytes:.0%} of its bytes, "
        f"{good.by_distance[far]:.0%}",
        listed(
            f"Lines of questions answered right against the distance of the fact asked for: at {far} tokens",
            (f"{name} {score.by_distance[far]:.0%}" for score, name in shown),
        ),
        theme,
    )
    (panel,), ends = picture.panels(), []
    for number, (score, name) in enumerate(shown):
        look = theme.look(score.setting.cache)
        shift = 2 * (number - len(shown) // 2)  # so that no whisker hides another
        x = [high + shift for high in score.by_distance]
        y = [100 * share for share in score.by_distance.values()]
        low, high = zip(*score.intervals_by_distance.values(), strict=True)
        down = [max(0.0, here - 100 * end) for here, end in zip(y, low, strict=True)]
        up = [max(0.0, 100 * end - here) for here, end in zip(y, high, strict=True)]
        panel.errorbar(x, y, [down, up], elinewidth=1.2, **look)
        ends.append((x[-1], y[-1], name, look["color"]))
    panel.set(xlabel="tokens from the fact to the answer, at most", ylabel="questions answered right, %")
    panel.set(xlim=(near - 12, far + 12), ylim=(-3, 103), xticks=list(exact.by_distance))
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
