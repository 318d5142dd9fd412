"""What two machines send each other for a token, what each need not read, and from which context on it pays."""

from dataclasses import dataclass

from minigpt.llama_config import LlamaConfig
from minigpt.measure.forms.parallel import LINKS, by_heads, by_positions, heads_seconds, pays_from, positions_seconds
from minigpt.measure.forms.roofline import kv_nbytes
from minigpt.show.plots.style import Picture, Theme, drawn

# Of the published config.json of Llama 3.1 8B.
LLAMA = LlamaConfig(
    vocab_size=128_256, context=131_072, n_layer=32, n_head=32, n_kv_head=8, n_embd=4096, n_inner=14_336
)
MACHINES, ITEMSIZE = 2, 2
MEMORY = 3.35e12  # bytes a second, of an H100's memory
CONTEXTS = [2**power for power in range(9, 18)]
WAYS = {"by heads": (by_heads, heads_seconds), "by positions": (by_positions, positions_seconds)}


@dataclass(frozen=True)
class Traffic:
    """sent: bytes that leave a machine for each new token, for each way to cut. saved: bytes of keys and values that
    it need not read for it, by context. pays: tokens from which on a step is no slower than on one machine, by link and
    way."""

    sent: dict[str, float]
    saved: dict[int, float]
    pays: dict[str, dict[str, int]]


def traffic() -> Traffic:
    """Of Llama 3.1 8B in 16 bits, one text, on two machines with the memory of an H100."""
    return Traffic(
        {way: form(LLAMA, MACHINES, itemsize=ITEMSIZE).on_the_wire for way, (form, _) in WAYS.items()},
        {tokens: (1 - 1 / MACHINES) * tokens * kv_nbytes(LLAMA, ITEMSIZE) for tokens in CONTEXTS},
        {
            link.name: {
                way: pays_from(seconds, LLAMA, MACHINES, link, itemsize=ITEMSIZE, memory=MEMORY)
                for way, (_, seconds) in WAYS.items()
            }
            for link in LINKS
        },
    )


@drawn
def sent_and_saved(traffic: Traffic, theme: Theme) -> Picture:
    """Left, bytes a token against context; right, the context from which on each link pays."""
    (_, most), link = max(traffic.saved.items()), LINKS[2].name
    first = traffic.pays[link]["by positions"]
    sent = " and ".join(f"{nbytes / 2**20:.2f} MiB {way}" for way, nbytes in traffic.sent.items())
    longest = max(traffic.saved)
    picture = Picture(
        f"Two machines send {sent[: sent.index(' ')]} MiB a token at most; latency dominates:\n"
        f"by positions it pays from {first:,} tokens over {link}",
        f"On log axes, what leaves a machine for each token of Llama 3.1 8B in 16 bits, {sent}, whatever the context, "
        f"and the bytes that it need not read, {most / 2**30:.0f} GiB at {longest} tokens; beside it the context from "
        "which on a step is no slower than on one machine, for each way and link: "
        + ", ".join(f"{name} {of['by heads']} and {of['by positions']}" for name, of in traffic.pays.items())
        + ".",
        theme,
    )
    picture.note(
        f"closed forms; Llama 3.1 8B in 16 bits, one text, {MACHINES} machines whose memory gives "
        f"{MEMORY / 1e12:.2f} TB/s\ntoo long: beyond the model's context of {LLAMA.context:,}"
    )
    left, right = picture.panels(1, 2, width_ratios=(4, 5))
    inks = dict(zip(WAYS, (theme.blue, theme.purple), strict=True))
    saved = [nbytes / 2**20 for nbytes in traffic.saved.values()]
    left.plot(list(traffic.saved), saved, color=theme.green)
    for way, nbytes in traffic.sent.items():
        left.axhline(nbytes / 2**20, color=inks[way])
    left.set(xscale="log", yscale="log", xlabel="tokens (log scale)", ylabel="MiB a token (log scale)")
    left.set_xticks([1024, 8192, 65536], ["1,024", "8,192", "65,536"])
    left.set_yticks([1, 10, 100, 1000, 10000], ["1", "10", "100", "1,000", "10,000"])
    left.minorticks_off()
    left.text(CONTEXTS[0], 1.3 * saved[-2], "not read", color=theme.green)
    left.text(CONTEXTS[-1], 0.6, "sent by heads", color=inks["by heads"], ha="right", va="bottom")
    left.text(CONTEXTS[-1], 0.21, "sent by positions", color=inks["by positions"], ha="right", va="top")
    left.set(ylim=(0.08, 2 * saved[-1]))
    begin = CONTEXTS[0] // 2
    for at, of in enumerate(traffic.pays.values()):
        for (way, tokens), shift in zip(of.items(), (-0.17, 0.17), strict=True):
            words = "always" if not tokens else f"{tokens:,}" + (" (too long)" if tokens > LLAMA.context else "")
            right.barh(at + shift, max(tokens - begin, 0), 0.3, left=begin, color=inks[way])
            right.text(1.25 * max(tokens, begin), at + shift, words, va="center", color=inks[way])
    right.set(xscale="log", xlabel="context from which it pays (log scale)")
    right.set(xlim=(begin, 1024 * LLAMA.context), ylim=(len(LINKS) - 0.5, -0.5))
    right.set_yticks(range(len(LINKS)), traffic.pays)
    right.set_xticks([1024, 65536], ["1,024", "65,536"])
    right.minorticks_off()
    return picture
