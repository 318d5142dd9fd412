"""A message in a model's chat template is what transformers makes of it, and its answer ends where the model says."""

import json
import shutil

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from minigpt.__main__ import main
from minigpt.chat import chat_prompt
from minigpt.model import GPT
from minigpt.model_files import ModelFileError
from minigpt.pretrained import load_tokenizer, model_folder

TEMPLATES = {
    "a system message of its own": (
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
        "{{ '<|im_start|>system\nBe brief<|im_end|>\n' }}{% endif %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "special tokens": "{{ bos_token }}[INST] {{ messages[0]['content'] | trim }} [/INST]{{ nothing }}",
    "lines and indents": "{% for each in messages %}\n  {% if 1 %}\n{{ each.content }}\n  {% endif %}\n{% endfor %}\n",
}
MESSAGES = ["Hello?", "  two\nlines ", "{{ bos_token }} is text", ""]


@pytest.mark.parametrize("file", ["tokenizer_config.json", "chat_template.jinja"])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_the_prompt_is_the_one_of_transformers(template, file, tmp_path):
    settings = {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    if file.endswith(".json"):
        settings["chat_template"] = template
    else:
        (tmp_path / file).write_text(template)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    theirs = PreTrainedTokenizerFast(tokenizer_object=load_tokenizer("recall"), bos_token="<s>", eos_token="</s>")
    theirs.chat_template = template
    for message in MESSAGES:
        messages = [{"role": "user", "content": message}]
        prompt = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert chat_prompt(tmp_path, message) == prompt


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "no chat template"),
        ([{"name": "default", "template": "{{ 1 }}"}], "no chat template"),
        ("{% for message in messages %}", "can't be filled"),
        ("{{ ().__class__.__base__.__subclasses__() }}", "can't be filled"),
        ("{{ messages.append(1) }}", "can't be filled"),
        ("{% for i in range(10**9) %}{% endfor %}", "can't be filled"),
        ("{{ 1 / 0 }}", "can't be filled"),
    ],
)
def test_a_template_that_is_missing_wrong_or_wants_more_than_text_is_refused(template, message, tmp_path):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    with pytest.raises(ModelFileError, match=message):
        chat_prompt(tmp_path, "Hello?")


@pytest.fixture
def talking(tmp_path):
    """The bundled model with a template, and a token that ends its answer."""
    shutil.copytree(model_folder("recall"), tmp_path / "talking")
    template = "{{ messages[0].content + '.\n' }}"
    (tmp_path / "talking" / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    return tmp_path / "talking"


@pytest.mark.parametrize("beams", [[], ["--num-beams", "2"]], ids=["greedy", "beams"])
def test_generate_writes_the_answer_alone_and_ends_it(beams, talking, capsys):
    model, tokenizer = GPT.from_pretrained("recall"), load_tokenizer("recall")
    ids = torch.tensor([tokenizer.encode("HAMLET.\n").ids])
    settings = json.loads((talking / "config.json").read_text())
    lengths = []
    for eos in (None, tokenizer.encode("\n").ids[0]):
        how = {"max_new_tokens": 20, "num_beams": 2 if beams else 1, "eos_token_id": eos}
        answer = model.generate(ids, **how)[0, ids.shape[1] :].tolist()
        (talking / "config.json").write_text(json.dumps(settings | {"eos_token_id": eos}))
        assert main(["generate", "HAMLET", "--chat", "--model", str(talking), "--new-tokens", "20", *beams]) == 0
        assert capsys.readouterr().out == tokenizer.decode(answer) + "\n"
        lengths.append(len(answer))
    assert lengths[1] < lengths[0] == 20


@pytest.mark.parametrize("command", [["generate", "HAMLET"], ["compare"], ["race"]], ids=lambda command: command[0])
def test_a_model_that_only_continues_is_told_so(command, capsys):
    assert main([*command, "--chat"]) == 2
    assert "no chat template" in capsys.readouterr().err
