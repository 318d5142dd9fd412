"""The keys of a config.json, each checked when it is read."""

import reprlib

from minigpt.measure.forms.config_types import (
    ALL_SLIDE,
    ENCODER,
    ENCODERS,
    NOT_COUNTED,
    REFUSED,
    SAME,
    SIZES,
    STATE,
    TYPES,
)

MOST = 10**9  # the largest number accepted in a config; real ones are far smaller
# What to do with a model that is refused.
ASK = "ask about a decoder with attention, as llama-3-8b"
ALONE = (
    "to count those of its layers that keep keys and values of one size, give a config.json without model_type that "
    "has their num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, and where they have windows "
    "layer_types and sliding_window"
)

SHORT = reprlib.Repr()
SHORT.maxstring = 80


def shown(value: object) -> str:
    """What a file says, in messages: a long list, or a long text, by its beginning."""
    return SHORT.repr(value)


class Keys:
    """keys: the content of a config.json. source: its name in messages. A null counts as missing.

    What the file leaves out is filled in as its type does it, and numbers of several names go by the first."""

    def __init__(self, keys: object, source: str):
        if not isinstance(keys, dict):
            raise ValueError(f"{source}: must be a JSON object, as transformers' config.json, got {shown(keys)}")
        self.source, self.type = source, str(keys.get("model_type"))
        if self.type in REFUSED:
            raise self.refusal(f"model_type {self.type!r}", REFUSED[self.type])
        known = TYPES.get(self.type)
        unread = {ALL_SLIDE} | (set() if known is None else set(SIZES) - known.keys())
        self.given = {key: each for key, each in self.renamed(keys).items() if key not in unread}
        self.keys = (known or {}) | self.given
        if self.type in ENCODERS and not self.keys.get("is_decoder"):
            raise self.refusal(f"model_type {self.type!r} without is_decoder", ENCODER)
        for key, what in NOT_COUNTED.items():
            if self.keys.get(key):
                raise self.refusal(f"{key} {shown(self.keys[key])}", what)

    def renamed(self, keys: dict) -> dict:
        """The same keys, each number by the first of its names."""
        keys = dict(keys)
        for first, *others in SAME:
            for name in others:
                number = keys.pop(name, None)
                if number is not None and keys.setdefault(first, number) != number:
                    raise self.error(
                        f"{name} {shown(number)} contradicts {first} {shown(keys[first])}: leave one of them out"
                    )
        return keys

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.source}: {message}")

    def refusal(self, key: str, what: str) -> ValueError:
        instead = ASK if what in (ENCODER, STATE) else ALONE
        return self.error(f"{key} means {what}. This can't be counted here: {instead}")

    def has(self, key: str, of: dict | None = None) -> bool:
        return (self.keys if of is None else of).get(key) is not None

    def number(self, *names: str, most: int = MOST, of: dict | None = None) -> int:
        """The number under the first of these names that is there. of: where to look (default: in the whole file)."""
        keys = self.keys if of is None else of
        key = next((name for name in names if self.has(name, of)), None)
        if key is None:
            raise self.error(f"the config has no {' or '.join(names)}: add it")
        if type(keys[key]) is not int or keys[key] < 1:
            raise self.error(f"{key} must be a whole number, 1 or more, got {shown(keys[key])}")
        if keys[key] > most:
            raise self.error(f"{key} must be {most:,} at most, got {keys[key]:,}")
        return keys[key]
