"""Every cache of the installed transformers that decodes a text, for a model that sees everything or has a window."""

from minigpt.proof.situations import LONG
from minigpt.proof.theirs import Theirs


def transformers_caches() -> dict[str, Theirs]:
    """By name. Those that round are here where the library that rounds for them is installed. Raises ValueError."""
    try:
        from transformers.utils import is_hqq_available, is_optimum_quanto_available
    except ModuleNotFoundError as error:
        advice = "pip install transformers"
        raise ValueError(f"the caches of transformers are proved where it is installed: {advice} ({error})") from error
    slots = {"max_cache_len": LONG}
    groups = {"nbits": 4, "q_group_size": 16, "residual_length": 4}
    caches = {
        "DynamicCache": house("DynamicCache", "full"),
        "DynamicCache, window": house("DynamicCache", "window"),
        "StaticCache": house("StaticCache", "full", **slots),
        "StaticCache, window": house("StaticCache", "window", **slots),
        "DynamicCache, offloading": house("DynamicCache", "full", offloading=True),
        "StaticCache, offloading": house("StaticCache", "full", offloading=True, **slots),
    }
    if is_optimum_quanto_available():
        caches["QuantizedCache, quanto"] = house("QuantizedCache", "full", backend="quanto", **groups)
    if is_hqq_available():
        axes = {"axis_key": 1, "axis_value": 1}
        caches["QuantizedCache, hqq"] = house("QuantizedCache", "full", backend="hqq", **groups, **axes)
    return caches | {"QuantizedCache, fp8": house("QuantizedCache", "full", backend="fp8")}


def house(kind: str, rule: str, **options) -> Theirs:
    def make(config, **_):
        import transformers

        return getattr(transformers, kind)(config=config, **options)

    given = ", ".join(["config=config", *(f"{name}={value!r}" for name, value in options.items())])
    rounds = kind == "QuantizedCache"
    return Theirs(make, f"from transformers import {kind}", f"{kind}({given})", [rule], rounds)
