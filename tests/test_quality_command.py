"""`python -m minigpt quality`: what it writes, and what it refuses."""

import torch

from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.measure.quality import real_recording, recording
from minigpt.measure.quality.recording import Recording
from minigpt.measure.recorded import DATA
from minigpt.model import GPT
from minigpt.recall.corpus import WEIGHTS
from minigpt.show.plots.recorded_real import recorded_real

RECORDED = DATA / "quality.json"


def test_it_writes_what_it_measured_and_prints_it(monkeypatch, tmp_path, capsys):
    recorded, asked = Recording.load(RECORDED), []

    def record(name, model, questions, seed, on_score, workers):
        asked.append((name, model.config.n_layer, questions, seed))
        on_score(recorded.scores[7])
        return recorded

    monkeypatch.setattr(recording, "record", record)
    out = tmp_path / "quality.json"
    assert main(["quality", "--questions", "3", "--out", str(out)]) == 0
    assert asked == [("recall", 3, 3, recorded.seed)]  # the recorded seed is the default
    assert out.read_bytes() == RECORDED.read_bytes()
    assert "window 64, 4 sinks: 16.5% right" in capsys.readouterr().out


def test_a_model_that_remembers_nothing_is_refused(tmp_path, capsys):
    torch.manual_seed(0)
    sizes = {"vocab_size": 1024, "context": 512, "n_layer": 1, "n_head": 1, "n_embd": 8}
    GPT(GPTConfig(**sizes)).save_pretrained(tmp_path)
    arguments = ["quality", "--model", str(tmp_path), "--questions", "2", "--out", str(tmp_path / "out.json")]
    assert main(arguments) == 2
    assert "without a cache the model answers 0 of 2 questions right" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_any_other_model_reads_passages_and_goes_on_with_its_file(monkeypatch, tmp_path, capsys):
    folder, out, asked = tmp_path / "tiny", tmp_path / "real.json", []
    sizes = {"vocab_size": 61, "n_layer": 1, "n_head": 1, "n_embd": 8, "n_inner": 8}
    Llama(LlamaConfig(**sizes, context=700)).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((WEIGHTS / "tokenizer.json").read_bytes())

    def record(name, model, tokenizer, passages, seed, path, on_reading):
        asked.append((name, model.config.vocab_size, passages, seed, path))
        on_reading(recorded_real().settings[1])
        return recorded_real()

    monkeypatch.setattr(real_recording, "record", record)
    assert main(["quality", "--model", str(folder), "--passages", "3", "--out", str(out)]) == 0
    assert asked == [("tiny", 61, 3, recorded_real().seed, out)]
    printed = capsys.readouterr().out
    assert f"read: {recorded_real().settings[1].name}" in printed
    assert "Lines begun again" in printed


def test_a_model_with_no_room_for_a_passage_is_refused(tmp_path, capsys):
    folder = tmp_path / "short"
    sizes = {"vocab_size": 61, "n_layer": 1, "n_head": 1, "n_embd": 8, "n_inner": 8}
    Llama(LlamaConfig(**sizes, context=100)).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((WEIGHTS / "tokenizer.json").read_bytes())
    assert main(["quality", "--model", str(folder), "--out", str(tmp_path / "out.json")]) == 2
    assert "recall in plain English takes 350 tokens, the context is 100" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
