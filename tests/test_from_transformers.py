"""What people who come from transformers give: taken and meant as there, or refused with what to do instead."""

import importlib
import inspect
import re

import pytest
import torch
import torch.nn.functional as F
from helpers import as_for_a_user, left_padding, random_gpt, random_ids, spread
from recorded_version import of_recorded_version
from transformers import (
    DynamicCache,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    QuantizedCache,
    RepetitionPenaltyLogitsProcessor,
    StaticCache,
    TextStreamer,
)
from transformers.generation import GenerationMixin
from transformers.utils import TransformersKwargs

from minigpt import cache_arguments
from minigpt.arguments import plan
from minigpt.cache import CACHES, make_cache
from minigpt.from_transformers import INSTEAD, speaks_transformers
from minigpt.generate import steps
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer
from minigpt.sampling import greedy


def named(function):
    """The arguments that it names."""
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return {name for name, each in inspect.signature(function).parameters.items() if each.kind not in kinds} - {"self"}


def popped(function):
    """The arguments that it takes out of its **kwargs."""
    return set(re.findall(r'kwargs\.pop\(\s*"([a-z]\w*)"', inspect.getsource(function)))


FORWARD = named(GPT2LMHeadModel.forward)
SHARED = set(TransformersKwargs.__optional_keys__)  # any model's forward takes them in **kwargs, if it knows them
THEIRS = {
    "generate": named(GenerationMixin.generate) | set(GenerationConfig().to_dict()) | FORWARD,
    "forward": FORWARD,
    "from_pretrained": named(PreTrainedModel.from_pretrained) | popped(PreTrainedModel.from_pretrained),
    "make_cache": set().union(*(named(each) for each in (DynamicCache, StaticCache, QuantizedCache))),
}
# There too, but without standing in a signature: taken out of **kwargs, or an older name.
ALSO = {
    "generate": popped(GenerationMixin.generate) | popped(GenerationMixin._extract_generation_mode_kwargs),
    "forward": SHARED,
    "from_pretrained": set(),
    "make_cache": set(),
}
OLDER = {  # of earlier versions, which scripts still have
    "generate": {"past_key_values"},
    "forward": {"past_key_values", "return_dict", "cache_position"},
    "from_pretrained": {"low_cpu_mem_usage", "load_in_4bit", "load_in_8bit"},
    "make_cache": {"max_batch_size"},
}
OURS = {
    "generate": named(GPT.generate),
    "forward": named(GPT.forward),
    "from_pretrained": named(GPT.from_pretrained),
    "make_cache": set().union(*(named(kind) for kind in CACHES.values())),
}


@of_recorded_version
@pytest.mark.parametrize("function", INSTEAD)
def test_all_arguments_of_transformers_are_taken_or_answered(function):
    assert sorted(THEIRS[function] - OURS[function] - set(INSTEAD[function])) == []


@of_recorded_version
@pytest.mark.parametrize("function", INSTEAD)
def test_every_answer_is_to_an_argument_that_is_there_and_none_here(function):
    assert sorted(set(INSTEAD[function]) - THEIRS[function] - ALSO[function] - OLDER[function]) == []
    assert sorted(set(INSTEAD[function]) & OURS[function]) == []
    assert OLDER[function] <= set(INSTEAD[function]) - THEIRS[function]


def test_what_the_answers_name_is_there():
    answers = {answer for table in INSTEAD.values() for answer in table.values()}
    for function, table in INSTEAD.items():
        new_names = [re.findall(r"call it (\w+)", answer) for answer in table.values()]
        assert {name for names in new_names for name in names} <= OURS[function]
    for answer in answers:
        for module, name in re.findall(r"(minigpt\.\w+)\.(\w+)", answer):
            assert hasattr(importlib.import_module(module), name), answer
        for name in re.findall(r"(?:make_cache\(|cache_implementation=|or )'(\w+)'", answer):
            assert name in CACHES, answer
    assert len(answers) > 40


@pytest.mark.parametrize("function", INSTEAD)
def test_each_is_refused_with_its_answer(function):
    model, ids = random_gpt(), random_ids(1, 5)
    calls = {
        "generate": lambda **given: model.generate(ids, **given),
        "forward": lambda **given: model(ids, **given),
        "from_pretrained": lambda **given: GPT.from_pretrained("recall", **given),
        "make_cache": lambda **given: make_cache("static", model.config, **given),
    }
    refused = (
        ValueError if function == "make_cache" else TypeError
    )  # an option is a value, its name given by the caller
    for name, answer in INSTEAD[function].items():
        with as_for_a_user(), pytest.raises(refused, match=re.escape(name)) as refusal:
            calls[function](**{name: 1})
        assert str(refusal.value).endswith(answer)


def test_several_are_answered_at_once():
    with pytest.raises(TypeError) as refusal:
        random_gpt().generate(random_ids(1, 5), past_key_values=None, max_new_tokens=3, max_length=9)
    said = "generate() got an unexpected keyword argument {!r}, known from transformers; instead: {}".format
    length = "max_new_tokens=max_length - input_ids.shape[1]"
    assert str(refusal.value).split("\n") == [
        said("past_key_values", "call it cache, and give what make_cache makes"),
        said("max_length", length),
    ]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("max_new_token", "max_new_tokens"), ("temprature", "temperature"), ("attention_masks", "attention_mask")],
)  # fmt: skip
def test_a_typo_gets_the_name_that_is_nearest(typo, meant):
    with pytest.raises(TypeError, match=rf"^generate\(\) got an .* '{typo}'\. Did you mean '{meant}'\?$"):
        random_gpt().generate(random_ids(1, 5), **{typo: 1})


@pytest.mark.parametrize(
    ("typo", "meant"), [("max_lenght", "max_length"), ("repetition_penalti", "repetition_penalty")]
)
def test_a_typo_of_what_is_only_theirs_gets_the_answer_at_once(typo, meant):
    with pytest.raises(TypeError, match=rf"^generate\(\) got an .* '{typo}'\. Did you mean '{meant}', kn") as refusal:
        random_gpt().generate(random_ids(1, 5), **{typo: 1})
    assert str(refusal.value).endswith(INSTEAD["generate"][meant])


def test_what_is_like_nothing_gets_all_names():
    with pytest.raises(TypeError, match=r"^forward\(\) got an .* 'xyz'; it takes ids, positions, cache$"):
        random_gpt()(random_ids(1, 5), xyz=1)


@pytest.mark.parametrize("function", [GPT.generate, GPT.forward, GPT.from_pretrained])
def test_the_signature_is_as_written(function):
    """So that help(), an editor and a type checker know each argument, and no other."""
    kinds = {each.kind for each in inspect.signature(function).parameters.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert function.__doc__


def test_what_is_taken_is_passed_on():
    @speaks_transformers
    def generate(a, /, b, *, c=3):
        return a, b, c

    assert generate(1, 2) == generate(1, b=2) == (1, 2, 3)
    assert generate(1, b=4, c=5) == (1, 4, 5)
    with pytest.raises(TypeError, match="missing 1 required"):
        generate(1)


# --- values that a script has, and that mean the same ---


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    sizes = {"vocab_size": 1024, "n_positions": 64, "n_layer": 2, "n_head": 2, "n_embd": 16}
    theirs = spread(GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)), 3).double()
    folder = tmp_path_factory.mktemp("gpt2")
    theirs.save_pretrained(folder)
    return theirs, GPT.from_pretrained(folder, dtype=torch.float64)


@pytest.mark.parametrize(
    "given",
    [
        {"cache_implementation": None},
        {"cache_implementation": None, "use_cache": False},
        {"do_sample": False, "temperature": None, "top_k": None, "top_p": None},  # against a warning there
        {"do_sample": False, "temperature": 0.0},
        {"num_beams": 1, "num_return_sequences": 1},
        {"num_beams": 1, "length_penalty": 1.0, "early_stopping": False},
        {"do_sample": True, "top_k": 0},
        {"do_sample": True, "top_k": None, "top_p": None, "temperature": None},
        {"do_sample": True, "temperature": 0.7, "top_k": 0, "top_p": 0.9, "num_return_sequences": 2},
    ],
    ids=str,
)
def test_values_mean_what_they_mean_there(given, pair):
    theirs, ours = pair
    ids, mask = random_ids(2, 9, 0, 1024), left_padding([0, 3], 9)
    common = {"attention_mask": mask, "max_new_tokens": 20, "pad_token_id": 0, **given}
    torch.manual_seed(1)
    want = theirs.generate(ids, **common)
    torch.manual_seed(1)
    assert torch.equal(ours.generate(ids, **common), want)


def test_what_a_generation_config_leaves_unset_is_the_default():
    """All of its fields are None, unless they are set."""
    model, ids = random_gpt(), random_ids(2, 5)
    unset = {name: value for name, value in GenerationConfig().to_dict().items() if name in OURS["generate"]}
    assert len(unset) > 10
    assert set(unset.values()) == {None}
    cache = make_cache("dynamic", model.config, batch_size=2, dtype=model.dtype)
    want = model.generate(ids)
    assert want.shape == (2, 5 + 20)
    for given in (unset, *({name: None} for name in unset), unset | {"cache": cache}):
        assert torch.equal(model.generate(ids, **given), want)
    assert cache.length == 24


@pytest.mark.parametrize("use_cache", [None, True, False])
def test_a_cache_is_used_unless_it_is_refused(use_cache, monkeypatch):
    made = []
    monkeypatch.setattr(
        cache_arguments, "make_cache", lambda name, *a, **k: made.append(name) or make_cache(name, *a, **k)
    )
    random_gpt().generate(random_ids(1, 5), use_cache=use_cache)
    assert made == ["none" if use_cache is False else "dynamic"]


def test_none_among_beams_is_the_default(pair):
    theirs, ours = pair
    ids, config = random_ids(2, 9, 0, 1024), GenerationConfig(num_beams=3, max_new_tokens=8, pad_token_id=0)
    assert config.num_return_sequences is config.length_penalty is config.early_stopping is None
    want = theirs.generate(ids, generation_config=config, attention_mask=torch.ones_like(ids))
    given = {name: value for name, value in config.to_dict().items() if name in OURS["generate"]}
    assert torch.equal(ours.generate(ids, **given), want)


# --- a script, ported by what the errors say ---


def told(call, *answers):
    """What a script has is refused, and the error says what the next lines do."""
    with as_for_a_user(), pytest.raises((TypeError, ValueError)) as refusal:
        call()
    for answer in answers:
        assert answer in str(refusal.value)


@torch.no_grad()
def test_a_script_ported_by_what_the_errors_say(pair, capsys):
    theirs, ours = pair
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=load_tokenizer("recall"))
    prompt = tokenizer("ROMEO. But soft, what light", return_tensors="pt").input_ids
    T = prompt.shape[1]

    # The loss of a text, and its logits.
    want = theirs(input_ids=prompt, labels=prompt)
    told(lambda: ours(input_ids=prompt, labels=prompt), "call it ids", "F.cross_entropy(logits[:, :-1].flatten(0, 1)")
    logits = ours(prompt)
    assert (logits - want.logits).abs().max() <= 1e-10
    assert (F.cross_entropy(logits[:, :-1].flatten(0, 1), prompt[:, 1:].flatten()) - want.loss).abs() <= 1e-6

    # Drawing, streamed: transformers' own streamers serve.
    said = {}
    for model, how in ((theirs, {"pad_token_id": 0}), (ours, {})):
        torch.manual_seed(0)
        streamer = TextStreamer(tokenizer, skip_prompt=True)
        model.generate(prompt, max_new_tokens=12, do_sample=True, temperature=0.8, top_p=0.9, streamer=streamer, **how)
        said[model] = capsys.readouterr().out
    assert said[ours] == said[theirs] != ""

    # Two turns with one cache.
    past = DynamicCache(config=theirs.config)
    want = theirs.generate(prompt, max_length=T + 8, cache=past, pad_token_id=0)
    want = theirs.generate(torch.cat([want, prompt], 1), max_new_tokens=8, cache=past, pad_token_id=0)
    told(
        lambda: ours.generate(prompt, max_length=T + 8, past_key_values=past),
        "max_new_tokens=max_length - input_ids.shape[1]",
        "call it cache",
    )
    told(lambda: ours.generate(prompt, max_new_tokens=8, cache=past), "cache must be one that make_cache gives")
    told(lambda: make_cache("dynamic", ours.config, max_batch_size=1), "call it batch_size")
    cache = make_cache("dynamic", ours.config, dtype=ours.dtype)
    got = ours.generate(prompt, max_new_tokens=8, cache=cache)
    assert torch.equal(ours.generate(torch.cat([got, prompt], 1), max_new_tokens=8, cache=cache), want)

    # Beams.
    how = {"max_new_tokens": 8, "num_beams": 4, "num_return_sequences": 2, "early_stopping": True}
    want = theirs.generate(prompt, pad_token_id=0, **how)
    told(
        lambda: ours.generate(inputs=prompt, num_beam_groups=1, **how), "call it input_ids", "leave it out: beams take"
    )
    assert torch.equal(ours.generate(input_ids=prompt, **how), want)

    # A penalty for what was said already, and a word at which to stop: a loop of one's own.
    want = theirs.generate(prompt, max_new_tokens=12, repetition_penalty=1.3, pad_token_id=0)
    stop = int(want[0, T + 5])
    told(
        lambda: ours.generate(prompt, max_new_tokens=12, repetition_penalty=1.3, stopping_criteria=[]),
        "give minigpt.generate.steps a `pick` of your own, which is handed the logits",
        "loop over minigpt.generate.steps, and break when you like",
    )
    text, positions = plan(ours, prompt, None, 12)
    cache, penalty = make_cache("dynamic", ours.config, dtype=ours.dtype), RepetitionPenaltyLogitsProcessor(1.3)
    said = []
    for new, _ in steps(ours, text, positions, T, cache, lambda x: greedy(penalty(text[:, : cache.length], x))):
        said.append(int(new))
        if int(new) == stop:
            break
    assert said == want[0, T : T + len(said)].tolist()
    assert said[-1] == stop
    assert said != ours.generate(prompt, max_new_tokens=len(said))[0, T:].tolist()
