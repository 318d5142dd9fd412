"""Every cache and setting whose quality is measured.

Prompts are fed in chunks of 64 tokens, groups of tokens are 64 (or 32) tokens, and nothing but the newest chunk stays
exact (residual_length=0). So whatever the setting, a query reads exact numbers of its own chunk alone: what is
compared is the rounding. Fed one token at a time, groups of fewer tokens are rounded sooner, and prose, which needs the
newest tokens most, is predicted worse: how much is measured for the settings of CHECKED.
"""

from dataclasses import dataclass, field

from minigpt.cache.quantized.codec import NAMES
from minigpt.measure.forms.quantized import BITS, GROUP


@dataclass(frozen=True)
class Setting:
    """A cache with its options, and the window that the model sees through (None: all). streaming: positions are
    counted among what is seen. family: of similar settings."""

    name: str
    family: str
    cache: str
    options: dict = field(default_factory=dict)
    window: int | None = None
    sinks: int = 0
    streaming: bool = False

    def serve(self, model):
        """The model as this setting wants it: with its window, if it has one."""
        return model if self.window is None else model.with_window(self.window, self.sinks, self.streaming)


def exact(cache: str) -> Setting:
    return Setting(cache, "exact", cache)


def sliding(window: int, sinks: int, streaming: bool = False) -> Setting:
    name = f"window {window}, {sinks or 'no'} sinks" + (", streaming" if streaming else "")
    return Setting(name, "sliding_window", "sliding_window", window=window, sinks=sinks, streaming=streaming)


def rounding(backend: str, nbits: int, key: str, value: str, size: int = GROUP, residual: int = 0) -> Setting:
    """As make_cache("quantized") takes them. key, value: how they are grouped. size: of a group. residual: the newest
    tokens, which stay exact."""
    options = {"backend": backend, "nbits": nbits, "group_key": key, "group_value": value}
    options |= {"q_group_size": size, "residual_length": residual}
    bits = "fp8" if backend == "fp8" else f"int{nbits}" if backend == "quanto" else f"{backend} int{nbits}"
    name = f"{bits}, keys by {key}, values by {value}" + (f", {residual} exact" if residual else "")
    return Setting(name, backend, "quantized", options)


SETTINGS = (
    *(exact(name) for name in ("none", "concat", "dynamic", "static", "offloaded", "offloaded_static")),
    *(sliding(window, sinks) for sinks in (4, 0) for window in (32, 64, 128, 256)),
    sliding(68, 4),  # holds as many bytes as 2 bits do
    *(rounding("quanto", bits, name, name) for bits in BITS for name in NAMES),
    *(rounding("quanto", bits, "channel", "token") for bits in BITS),
    *(rounding("kivi", bits, "channel", "token", 32) for bits in (4, 2, 1)),  # KIVI's group of 32
    *(rounding("hqq", bits, "token", "token") for bits in BITS),
    *(rounding("fp8", 8, name, name) for name in NAMES),
)

# The settings that are measured again as their bytes are counted: in float16, fed one token at a time.
CHECKED = (
    sliding(68, 4),
    rounding("quanto", 2, "channel", "token"),
    rounding("quanto", 2, "token", "token"),
)

# The settings that are measured again with an outlier among the key channels.
INJECTED = (exact("dynamic"), *(rounding("quanto", bits, name, "token") for bits in (8, 4, 2) for name in NAMES))
