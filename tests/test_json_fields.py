"""What --json prints is what --help says."""

import json

import pytest
from json_fields import check

from minigpt.__main__ import main
from minigpt.commands.json_fields import described
from minigpt.commands.parser import COMMANDS

RUNS = [
    ["compare", "--new-tokens", "3", "--questions", "1", "--cache", "dynamic", "sliding_window"],
    ["recall", "--questions", "1", "--cache", "sliding_window"],
    ["bench", "--new-tokens", "2", "--rounds", "1", "--cache", "dynamic", "--context", "8,16"],
    ["memory", "gemma-3-4b", "--fits", "3GB"],
    ["prove", "minigpt.cache:ConcatCache", "--only", "prefill", "overflow", "crop"],
    ["bugs", "crop"],
    ["memory", "gemma-3-4b", "gpt2", "--fits", "3GB"],
]
LISTS = [arguments for arguments in RUNS if "gpt2" in arguments]  # of several models
PRINTS = {"memory": "one object; of several models, a list of them"}


@pytest.mark.parametrize("arguments", RUNS, ids=" ".join)
def test_json_has_the_fields_that_help_tells_and_no_others(arguments, capsys):
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    for each in printed if arguments in LISTS else [printed]:
        check(each, COMMANDS[arguments[0]].FIELDS)


def test_every_command_with_json_is_among_these():
    assert {command for command, *_ in RUNS} == {name for name, module in COMMANDS.items() if hasattr(module, "FIELDS")}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_fields_where_it_tells_of_json(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    told = capsys.readouterr().out
    fields = getattr(COMMANDS[command], "FIELDS", None)
    assert ("--json" in told) == (fields is not None)
    assert fields is None or told.endswith(described(fields, PRINTS.get(command, "one object")) + "\n")


FIELDS = {
    "name": "string: what",
    "share": "number or null: how much",
    "right": "list of integers: how many",
    "by": "object of numbers: by what",
    "line": ("list of objects: one for each", {"count": "integer: how many"}),
    "kept": ("object of objects: by name", {"size": "integer: how large"}),
    "about": ("object: the rest", {"exact": "boolean: whether"}),
}
GOOD = {
    "name": "a",
    "share": 1,
    "right": [1, 2],
    "by": {"50": 0.5},
    "line": [{"count": 1}, {"count": 2}],
    "kept": {"keys": {"size": 1}, "values": {"size": 2}},
    "about": {"exact": True},
}


def test_an_object_as_its_fields_say_passes():
    check(GOOD, FIELDS)
    check(GOOD | {"share": None, "line": [], "kept": {}, "right": []}, FIELDS)


@pytest.mark.parametrize(
    "other",
    [
        {"more": 1},
        {"name": 1},
        {"share": "1"},
        {"right": [1, 2.5]},
        {"right": [True]},
        {"right": None},
        {"by": {"50": "1"}},
        {"by": [1.0]},
        {"line": [{"count": 1}, {}]},
        {"line": [{"count": 1}, {"count": None}]},
        {"kept": {"keys": {"size": 1}, "values": {"size": 2, "heads": 1}}},
        {"about": {"exact": 1}},
    ],
    ids=str,
)
def test_one_that_is_otherwise_anywhere_does_not(other):
    with pytest.raises(AssertionError):
        check(GOOD | other, FIELDS)


def test_a_missing_field_does_not():
    with pytest.raises(AssertionError, match="keys of the object"):
        check({key: value for key, value in GOOD.items() if key != "by"}, FIELDS)


def test_a_field_without_a_meaning_does_not():
    with pytest.raises(AssertionError, match="name has no meaning"):
        check({"name": "a"}, {"name": "string"})
