"""The recorded quality of a real model, and its settings by what they are."""

from minigpt.measure.quality.real import RealScore
from minigpt.measure.quality.real_recording import RealRecording
from minigpt.measure.recorded import DATA


def recorded_real() -> RealRecording:
    """The quality of SmolLM2-135M-Instruct, as `python -m minigpt quality --model smollm2` recorded it."""
    return RealRecording.load(DATA / "quality-real.json")


def rounded_to(bits: int, scores: list[RealScore]) -> dict[tuple[str, str], RealScore]:
    """The settings of that many bits, by how keys are grouped, and values."""
    found = (each for each in scores if each.setting.options.get("nbits") == bits)
    return {(each.setting.options["group_key"], each.setting.options["group_value"]): each for each in found}


def window_as_large(scores: list[RealScore]) -> RealScore:
    """The window that is nearest in bytes to 2 bits."""
    least = rounded_to(2, scores)["channel", "token"].nbytes
    windows = (each for each in scores if each.setting.window)
    return min(windows, key=lambda each: abs(each.nbytes - least))


def groups(key: str, value: str) -> str:
    """How keys and values are grouped, in words."""
    return f"all by {key}" if key == value else f"keys by {key}, values by {value}"


def in_words(score: RealScore) -> str:
    """A setting, as a label says it."""
    options, window = score.setting.options, score.setting.window
    if window:
        return f"window {window}, {score.setting.sinks or 'no'} sinks"
    return f"{options['nbits']} bits, {groups(options['group_key'], options['group_value'])}" if options else "exact"
