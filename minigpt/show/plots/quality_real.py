"""How well a real model foresees prose under each setting, against the bytes that its cache holds."""

from minigpt.measure.quality.real_recording import RealRecording
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.recorded_real import groups, in_words, rounded_to
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed


@drawn
def prose_against_bytes(recording: RealRecording, theme: Theme) -> Picture:
    """A mark for each setting, whiskers for the 95% interval of its difference to the exact cache, whose bits a byte
    are the line."""
    scores, exact = recording.scores, recording.scores[0]
    two = rounded_to(2, scores)
    kivi, share = two["channel", "token"], two["channel", "token"].nbytes / exact.nbytes
    others = [f"{groups(*each)} {two[each].more_bits:.2f}" for each in (("token", "token"), ("channel", "channel"))]
    picture = Picture(
        f"{recording.model}, 2 bits, {share:.0%} of the bytes: {groups('channel', 'token')}\n"
        f"cost {kivi.more_bits:.2f} bits a byte, {', '.join(others)}",
        listed(
            f"Marks of settings by megabytes held and by bits a byte on a play; the line is the exact cache's "
            f"{exact.bits_per_byte:.3f}; more than that, with 95% intervals:",
            (
                f"{in_words(each)} {each.more_bits:.3f} "
                f"({' to '.join(f'{end:.3f}' for end in each.more_bits_interval)})"
                for each in scores[1:]
            ),
        ),
        theme,
        size=(10.0, 5.8),
    )
    nbytes = exact.sum("nbytes")
    picture.note(
        f"{nbytes / 1e3:.0f} kB of a play, read {recording.chunk} tokens at once; bytes after {recording.edges[-1]:,} "
        f"tokens, in {recording.kept}\nwhiskers: 95% intervals of the difference to the exact cache"
    )
    (panel,), ends = picture.panels(), []
    panel.axhline(exact.bits_per_byte, color=theme.look("dynamic")["color"], linewidth=1.5)
    for score in scores:
        look = theme.look(score.setting.cache) | {"linestyle": "none"}
        low, high = (exact.bits_per_byte + end for end in score.more_bits_interval)
        whiskers = [[score.bits_per_byte - low], [high - score.bits_per_byte]]
        panel.errorbar(score.nbytes / 1e6, score.bits_per_byte, whiskers, elinewidth=1.2, capsize=4, **look)
        ends.append((score.nbytes / 1e6, score.bits_per_byte, in_words(score), look["color"]))
    panel.set(xlabel="megabytes held", ylabel="bits a byte", xlim=(0, 1.04 * exact.nbytes / 1e6))
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
