"""The quality of a real model, recorded in a file, which is saved after each passage that is read, and gone on with."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from minigpt.measure.quality.channels import ChannelSizes, channel_sizes
from minigpt.measure.quality.real import KEPT, RealScore, held_at_end, in_bins, share_of
from minigpt.measure.quality.real_settings import REAL_SETTINGS
from minigpt.measure.quality.scores import name_of
from minigpt.measure.quality.settings import Setting
from minigpt.recall.exam import CHUNK
from minigpt.recall.plain_english import PlainEnglish, bins_of
from minigpt.recall.reading import Reading, read, unread

PROSE = 1024  # tokens in which channels are looked at


@dataclass(frozen=True)
class RealRecording:
    """model, dtype, torch: what was measured, and with what. seed: of the lines that are begun again. edges: the upper
    edge of each bin of distance, in tokens; a passage is as long as the last. chunk: tokens fed at once. kept: the
    dtype of the caches whose bytes are counted.

    channels: how large keys and values are, in the beginning of the play. settings, nbytes: what was compared, and what
    it holds at the end of a passage. readings: of each setting, one for each passage. guessed: of each passage, what is
    right where nothing was read.
    """

    model: str
    dtype: str
    torch: str
    seed: int
    edges: list[int]
    chunk: int
    kept: str
    channels: ChannelSizes
    settings: list[Setting]
    nbytes: list[int]
    readings: list[list[Reading]]
    guessed: list[list[list[int]]]

    @property
    def passages(self) -> int:
        """Those that were read under all settings."""
        return min(map(len, self.readings))

    @property
    def chance(self) -> dict[int, float]:
        """The share that is right where nothing was read, by the upper edge of each bin of distance."""
        right = in_bins(self.guessed[: self.passages])
        return {edge: share_of(lines) for edge, lines in zip(self.edges, right, strict=True)}

    @property
    def scores(self) -> list[RealScore]:
        """Of the passages that were read under all settings. The first setting is the exact cache."""
        whole = [readings[: self.passages] for readings in self.readings]
        every = zip(self.settings, self.nbytes, whole, strict=True)
        return [RealScore(setting, nbytes, self.edges, mine, whole[0]) for setting, nbytes, mine in every]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")  # an interrupted write must not spoil what was there
        part.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8", newline="\n")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "RealRecording":
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["channels"] = ChannelSizes(**fields["channels"])
        fields["settings"] = [Setting(**each) for each in fields["settings"]]
        fields["readings"] = [[Reading(**each) for each in readings] for readings in fields["readings"]]
        return cls(**fields)


def record(
    name: str,
    model,
    tokenizer: Tokenizer,
    passages: int,
    seed: int,
    path: Path,
    on_reading: Callable[[Setting], None] = lambda setting: None,
) -> RealRecording:
    """Read so many passages under every setting, each under all before the next. name: of the model. The file is
    written after each reading; one that holds a part of the same recording, or fewer settings, is gone on with.

    Raises ValueError where the file holds another recording, or a setting that is none of today's.
    """
    recording, play = begin(name, model, tokenizer, seed), PlainEnglish(tokenizer)
    if path.exists():
        recording = go_on(recording, RealRecording.load(path), path)
    for number in range(passages):
        passage = play.passage(seed, number, bins_of(model))
        if len(recording.guessed) == number:
            recording.guessed.append(unread(model, passage))
        for setting, readings in zip(recording.settings, recording.readings, strict=True):
            if len(readings) == number:
                readings.append(read(setting.serve(model), passage, setting.cache, **setting.options))
                recording.save(path)
                on_reading(setting)
    return recording


def go_on(recording: RealRecording, before: RealRecording, path: Path) -> RealRecording:
    """The recording, with what was read before."""
    known = [*zip(before.settings, before.nbytes, before.readings, strict=True)]
    wanted = zip(recording.settings, recording.nbytes, strict=True)
    readings = [next((old for *about, old in known if about == [*each]), []) for each in wanted]
    whole = replace(recording, channels=before.channels, readings=readings, guessed=before.guessed)
    same = replace(whole, settings=before.settings, nbytes=before.nbytes, readings=before.readings) == before
    if not same or sum(map(len, readings)) < sum(map(len, before.readings)):
        raise ValueError(f"{path} holds another recording: give another --out, or delete it")
    return whole


def begin(name: str, model, tokenizer: Tokenizer, seed: int) -> RealRecording:
    """What is to be measured, and nothing read yet."""
    edges = [high for _, high in bins_of(model)]
    nbytes = [held_at_end(model, setting, edges[-1]) for setting in REAL_SETTINGS]
    about = name, name_of(model.dtype), torch.__version__, seed, edges, CHUNK, name_of(KEPT)
    channels = channel_sizes(model, PlainEnglish(tokenizer).ids[None, :PROSE])
    return RealRecording(*about, channels, [*REAL_SETTINGS], nbytes, [[] for _ in REAL_SETTINGS], [])
