"""`python -m minigpt quality`: what it writes, and what it refuses."""

import torch

from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.measure.quality import recording
from minigpt.measure.quality.recording import Recording
from minigpt.measure.recorded import DATA
from minigpt.model import GPT

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
