"""The recorded quality of a real model, and its settings by what they are."""

from minigpt.measure.quality.real import RealScore
from minigpt.measure.quality.real_recording import RealRecording
from minigpt.measure.recorded import DATA

KIVI = "channel", "token"


def recorded_real() -> RealRecording:
    """The quality of SmolLM2-135M-Instruct, as `python -m minigpt quality --model smollm2` recorded it."""
    return RealRecording.load(DATA / "quality-real.json")


def rounded_to(bits: int, scores: list[RealScore], **also) -> dict[tuple[str, str], RealScore]:
    """The settings of that many bits, by how keys are grouped, and values. also: other options than quanto's rounding
    and nothing exact."""
    options = {"nbits": bits, "backend": "quanto", "residual_length": 0} | also
    found = (each for each in scores if options.items() <= each.setting.options.items())
    return {(each.setting.options["group_key"], each.setting.options["group_value"]): each for each in found}


def windows(scores: list[RealScore], sinks: int = 4, streaming: bool = False) -> list[RealScore]:
    found = (each for each in scores if each.setting.window)
    return [each for each in found if (each.setting.sinks, each.setting.streaming) == (sinks, streaming)]


def window_as_large(scores: list[RealScore]) -> RealScore:
    """The window with sinks that is nearest in bytes to 2 bits."""
    least = rounded_to(2, scores)[KIVI].nbytes
    return min(windows(scores), key=lambda each: abs(each.nbytes - least))


def groups(key: str, value: str) -> str:
    """How keys and values are grouped, in words."""
    return f"all by {key}" if key == value else f"keys by {key}, values by {value}"


def in_words(score: RealScore) -> str:
    """A setting, as a label says it."""
    options = score.setting.options
    if not options:
        return "exact" if score.setting.window is None else score.setting.name
    bits = f"{options['nbits']} bit{'s' * (options['nbits'] > 1)}"
    how = {"quanto": bits, "hqq": f"{bits} by hqq"}.get(options["backend"], options["backend"])
    exact = f", {options['residual_length']} tokens exact" if options["residual_length"] else ""
    return f"{how}, {groups(options['group_key'], options['group_value'])}{exact}"
