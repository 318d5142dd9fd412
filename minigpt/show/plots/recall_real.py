"""What a real model remembers of a play under each setting, by how far back it stands."""

from minigpt.measure.quality.real_recording import RealRecording
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.recorded_real import rounded_to, window_as_large
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

DASHES = {4: "--"}  # of so many bits; other lines are solid


@drawn
def recall_of_lines(recording: RealRecording, theme: Theme) -> Picture:
    """Steps over the bins of distance: the exact cache, 4 and 2 bits, a window of as many bytes as 2 bits, and what is
    predicted where nothing was read. Whiskers are 95% intervals."""
    scores, window = recording.scores, window_as_large(recording.scores)
    few, coarse = (rounded_to(bits, scores)["channel", "token"] for bits in (4, 2))
    shown = {"exact": scores[0], "4 bits": few, "2 bits": coarse, f"window {window.setting.window}": window}
    last = recording.edges[-1]
    picture = Picture(
        f"Lines begun again: {recording.model} predicts {scores[0].recall:.0%} of their ends,\n"
        f"{few.recall:.0%} in 4 bits, {coarse.recall:.0%} in 2 bits; "
        f"with a window as large as 2 bits {window.recall:.0%}",
        listed(
            f"Steps of tokens predicted in lines begun again, over bins of distance up to {last:,} tokens; of all:",
            (
                f"{name} {each.recall:.0%} ({' to '.join(f'{end:.0%}' for end in each.recall_interval)})"
                for name, each in shown.items()
            ),
        ),
        theme,
    )
    sinks = f"the window with {window.setting.sinks} sinks"
    picture.note(
        f"{len(scores[0].lines)} lines, whiskers: 95% intervals; bits: keys by channel, values by token; {sinks}\n"
        "unread: the same tokens, where nothing was read"
    )
    (panel,), ends = picture.panels(), []
    bins = range(len(recording.edges))
    for number, (name, score) in enumerate(shown.items()):
        look = theme.look(score.setting.cache) | {"linestyle": "none"}
        shares = [100 * share for share in score.by_distance.values()]
        dashes = DASHES.get(score.setting.options.get("nbits", 0), "-")
        panel.stairs(shares, range(len(bins) + 1), baseline=None, color=look["color"], linestyle=dashes, linewidth=2.5)
        low, high = zip(*score.intervals_by_distance.values(), strict=True)
        down = [max(0.0, share - 100 * end) for share, end in zip(shares, low, strict=True)]
        up = [max(0.0, 100 * end - share) for share, end in zip(shares, high, strict=True)]
        middles = [each + (number + 1) / (len(shown) + 1) for each in bins]  # no whisker hides another
        panel.errorbar(middles, shares, [down, up], elinewidth=1.2, **look)
        ends.append((len(bins), shares[-1], name, look["color"]))
    unread = [100 * share for share in recording.chance.values()]
    panel.stairs(unread, range(len(bins) + 1), baseline=None, color=theme.muted, linewidth=1.5)
    ends.append((len(bins), unread[-1], "unread", theme.muted))
    panel.set(xlabel="tokens from where a line stood to where it recurs", ylabel="tokens predicted, %")
    panel.set(xlim=(0, len(bins)), ylim=(-3, 103), xticks=range(len(bins) + 1))
    panel.set_xticklabels(["1", *(f"{edge:,}" for edge in recording.edges)])
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
