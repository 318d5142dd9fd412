"""Settings of caches, as tables name them."""

from collections.abc import Iterable

from minigpt.measure.quality.settings import Setting


def short_name(setting: Setting) -> str:
    """int2 channel/token, for 2 bits with keys by channel and values by token"""
    return setting.name.replace(", keys by ", " ").replace(", values by ", "/")


def explained(settings: Iterable[Setting]) -> str:
    """What such a name means, by the first that rounds keys and values in two ways; nothing where none does."""
    for setting in settings:
        key, value = (setting.options.get(f"group_{each}") for each in ("key", "value"))
        if key != value:
            bits = setting.options["nbits"]
            return f"{short_name(setting)}: {bits} bits; keys share a scale by {key}, values by {value}."
    return ""
