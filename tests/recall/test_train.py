"""The recipe on a tiny text: end to end, the same again after a break, and never on with another run's checkpoint."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from minigpt.attention import NEVER
from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.recall import train as recipe
from minigpt.recall.corpus import Text, train_tokenizer
from minigpt.recall.lessons import ANSWER, repeats, strewn
from minigpt.recall.settings import CONFIG, STAGES, Repeats, Settings, Stage

TEXT = "The quality of mercy is not strain'd,\nIt droppeth as the gentle rain from heaven\n" * 9
TINY = {
    "every": 2,
    "questions": 1,
    "stages": (
        Stage(name="copy", steps=3, repeats=(Repeats(rows=4, length=32, shortest=10, longest=20),)),
        Stage(name="remember", steps=3, repeats=(Repeats(rows=1, length=512, shortest=40, longest=400),), prose_rows=2),
    ),
    "config": GPTConfig(vocab_size=1024, context=512, n_layer=1, n_head=2, n_embd=8),
    "bfloat16": False,
}


@pytest.fixture(scope="module", autouse=True)
def few_questions_at_the_end():
    """200 for each distance would take most of the test's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "FINAL_QUESTIONS", 2)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def text():
    return Text.encode(train_tokenizer(TEXT), TEXT)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run without a break: its folder and what it returned."""
    out = tmp_path_factory.mktemp("whole")
    return out, recipe.train(out, data, **TINY)


def test_a_tiny_text_trains_end_to_end(whole):
    out, report = whole
    names = ["config.json", "curve.json", "held_out.safetensors", "model.safetensors"]
    assert sorted(path.name for path in out.iterdir()) == [*names, "tokenizer.json", "tokenizer_config.json"]
    assert json.loads((out / "curve.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report))
    assert [point["step"] for point in report["curve"]] == [2, 4, 6]
    assert [point["stage"] for point in report["curve"]] == ["copy", "remember", "remember"]
    assert [point["tokens"] for point in report["curve"]] == [2 * 4 * 32, 3 * 4 * 32 + 3 * 512, 3 * 4 * 32 + 9 * 512]
    assert GPT.from_pretrained(out).config == TINY["config"]
    assert str(out) not in (out / "curve.json").read_text(encoding="utf-8")


def test_a_text_of_which_one_token_is_held_out_is_refused_before_any_work(tmp_path):
    """Its surprise would be known of no token, after all the training."""
    (tmp_path / "text.txt").write_text("ab" * 100, encoding="utf-8")
    with pytest.raises(ValueError, match=r"text\.txt: what is held out of it is a single token: give a longer text"):
        recipe.train(tmp_path / "out", data=tmp_path / "text.txt", **TINY)


@pytest.mark.parametrize("broken_at", [3, 5])  # a step after a checkpoint, in either stage
def test_a_run_that_was_killed_goes_on_to_the_same_weights(whole, data, tmp_path, monkeypatch, broken_at):
    learn, steps = recipe.learn, iter(range(broken_at))

    def until_killed(*args):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return learn(*args)

    monkeypatch.setattr(recipe, "learn", until_killed)
    with pytest.raises(KeyboardInterrupt):
        recipe.train(tmp_path, data, **TINY)
    assert (tmp_path / "checkpoint.safetensors").exists()
    monkeypatch.setattr(recipe, "learn", learn)
    report = recipe.train(tmp_path, data, **TINY)

    out, unbroken = whole
    there, here = load_file(out / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert there.keys() == here.keys()
    assert all(torch.equal(there[name], here[name]) for name in there)
    without_time = [[{**point, "seconds": 0} for point in run["curve"]] for run in (report, unbroken)]
    assert without_time[0] == without_time[1]
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_new_run_in_an_old_folder_learns_its_own_tokenizer(data, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("zyx wvu\n" * 99, encoding="utf-8")
    recipe.train(tmp_path / "out", data, **TINY)
    recipe.train(tmp_path / "out", other, **TINY)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert len(tokenizer.encode("zyx wvu").ids) == 2


def test_another_seed_gives_other_weights(whole, data, tmp_path):
    recipe.train(tmp_path, data, seed=1, **TINY)
    there, here = load_file(whole[0] / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert not any(torch.equal(there[name], here[name]) for name in there if name.endswith("c_attn.weight"))


@pytest.mark.parametrize("change", ["seed", "text"])
def test_a_checkpoint_of_another_run_is_refused(data, tmp_path, monkeypatch, change):
    def no_finish(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "finish", no_finish)
    with pytest.raises(KeyboardInterrupt):
        recipe.train(tmp_path / "out", data, **TINY)
    other = tmp_path / "other.txt"
    other.write_text(TEXT[::-1], encoding="utf-8")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ValueError, match="is of another run"):
        recipe.train(tmp_path / "out", other if change == "text" else data, seed=int(change == "seed"), **TINY)
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}  # it is left as it was


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_metadata(path):
    save_file(load_file(path), path)


def without_a_moment(path):
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors.pop(next(name for name in tensors if name.startswith("exp_avg.")))
    save_file(tensors, path, metadata)


def with_other_words(path):
    train_tokenizer(TEXT[:400]).save(str(path))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["added_tokens"] = []
    path.write_text(json.dumps(content), encoding="utf-8")


DAMAGED = {
    "a checkpoint cut short": ("checkpoint.safetensors", half, "is not a whole checkpoint"),
    "an empty checkpoint": ("checkpoint.safetensors", lambda path: path.write_bytes(b""), "is not a whole checkpoint"),
    "a checkpoint of another kind": (
        "checkpoint.safetensors",
        lambda path: path.write_text("PK" * 99),
        "is not a whole checkpoint",
    ),
    "a checkpoint without metadata": (
        "checkpoint.safetensors",
        without_metadata,
        r"is not a whole checkpoint .*nothing in it says 'origin'",
    ),
    "a checkpoint without a tensor": (
        "checkpoint.safetensors",
        without_a_moment,
        r"is not a whole checkpoint .*exp_avg\.",
    ),
    "a tokenizer cut short": ("tokenizer.json", half, r"tokenizer.json: not a tokenizer"),
    "an empty tokenizer": ("tokenizer.json", lambda path: path.write_bytes(b""), r"tokenizer.json: not a tokenizer"),
    "no tokenizer": ("tokenizer.json", lambda path: path.unlink(), r"tokenizer.json: no such file"),
    "a tokenizer of another kind": ("tokenizer.json", with_other_words, r"must have at most 1024 tokens"),
}


@pytest.fixture(scope="module")
def broken_off(data, tmp_path_factory):
    """The folder of a run that was stopped at its last step."""

    def no_finish(*args):
        raise KeyboardInterrupt

    out = tmp_path_factory.mktemp("broken off")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "finish", no_finish)
        with pytest.raises(KeyboardInterrupt):
            recipe.train(out, data, **TINY)
    return out


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_run_is_refused_by_its_file_and_told_how_to_start_afresh(case, broken_off, data, tmp_path):
    name, damage, message = DAMAGED[case]
    out = shutil.copytree(broken_off, tmp_path / "out")
    damage(out / name)
    with pytest.raises(ValueError, match=rf"(?s){message}.*[Rr]emove (it|the checkpoint) to start afresh") as refusal:
        recipe.train(out, data, **TINY)
    assert str(out / "checkpoint.safetensors") in str(refusal.value)
    (out / "checkpoint.safetensors").unlink()
    recipe.train(out, data, **TINY)  # as it was told


@pytest.mark.parametrize("sizes", [(64, 10, 39), (512, 40, 400)])
def test_random_repeats_repeat_and_only_the_repetition_counts(sizes):
    length, shortest, longest = sizes
    lesson = repeats(np.random.default_rng(0), 300, *sizes, context=512)
    assert torch.equal(lesson.ids[:, 1:], lesson.targets[:, :-1])
    periods = []
    for ids, positions, targets, weights in zip(*vars(lesson).values(), strict=True):
        here = positions != NEVER
        assert positions[here].tolist() == list(range(positions[0], min(positions[0] + length, 512)))
        counted = weights.nonzero().flatten()
        period = int(counted[0]) + 1
        assert counted.tolist() == list(range(period - 1, int(here.sum())))
        assert torch.equal(targets[period - 1 :], torch.cat([ids, targets[-1:]])[: length + 1 - period])
        periods.append(period)
    assert (min(periods), max(periods)) >= (shortest, longest * 0.8)
    assert max(periods) <= longest


def test_random_repeats_teach_every_position_to_be_looked_up():
    """A first period must cover it. The run that began no row late never found facts told after position 480."""
    lesson = repeats(np.random.default_rng(0), 4000, 64, 10, 39, context=512)
    covered = torch.zeros(512)
    for positions, weights in zip(lesson.positions, lesson.weights, strict=True):
        covered[positions[: int(weights.nonzero()[0]) + 1]] += 1
    assert covered[16:490].min() > 0.6 * covered.mean()
    assert covered[1:500].min() > 0


def test_each_answer_was_told_before_and_no_fact_counts_when_it_is_told(text):
    lesson = strewn(np.random.default_rng(0), text, 20, 512)
    ids = torch.cat([lesson.ids[:, :1], lesson.targets], dim=1)
    weights = torch.cat([torch.zeros(20, 1), lesson.weights], dim=1)
    names, things = set(text.names.tolist()), set(text.things.tolist())
    asked = 0
    for row, weight in zip(ids.tolist(), weights.tolist(), strict=True):
        told = {}
        for place, token in enumerate(row):
            if token in names or token == text.open:
                assert weight[place] == 0
            elif token in things and row[place - 1] in told:
                assert token == told[row[place - 1]]
                assert weight[place] == ANSWER
                asked += 1
            elif token in things:
                told[row[place - 1]] = token
                assert weight[place] == 0
            else:
                assert weight[place] == (place > 0)
    assert asked > 20 * 3


def test_the_learning_rate_rises_then_falls_to_nearly_nothing():
    settings = Settings(seed=0, stages=STAGES, config=CONFIG)
    rates = [settings.rate(step) for step in range(settings.steps)]
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-6 < 0.9 * settings.learning_rate < max(rates)
    assert settings.stage(STAGES[0].steps - 1) == STAGES[0]
    assert settings.stage(STAGES[0].steps) == STAGES[1]
    with pytest.raises(ValueError, match="beyond the last stage"):
        settings.stage(settings.steps)
