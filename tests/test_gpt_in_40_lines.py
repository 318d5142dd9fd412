"""The whole idea on one screen: it runs, it is as short as it says, and its assertion notices a wrong cache."""

import io
import tokenize
from pathlib import Path

import pytest

FILE = Path(__file__).parent.parent / "notebooks" / "gpt_in_40_lines.py"
SOURCE = FILE.read_text(encoding="utf-8")
EMPTY = tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER


def run(source):
    import torch

    before = torch.get_default_dtype()
    try:
        exec(compile(source, FILE.name, "exec"), {"__name__": "__main__"})  # noqa: S102
    finally:
        torch.set_default_dtype(before)


def test_it_runs_and_says_what_it_has_shown(capsys):
    run(SOURCE)
    assert capsys.readouterr().out == "The same scores at each step. Rows computed: 396 without, 28 with.\n"


def test_it_has_forty_lines_of_code_and_imports_nothing_but_torch():
    tokens = [each for each in tokenize.generate_tokens(io.StringIO(SOURCE).readline) if each.type not in EMPTY]
    assert len({line for each in tokens for line in range(each.start[0], each.end[0] + 1)}) <= 40
    imports = [line for line in SOURCE.splitlines() if "import" in line]
    assert all(line.split()[1].split(".")[0] == "torch" for line in imports)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (".tril(S - T)", ".tril()"),  # the triangle in the upper left corner
        ("weight[kept:]", "weight[0:]"),  # positions begin again at each call
        ("text[:, cache[0].shape[3] :]", "text"),  # what the cache has is fed again
        ("= cache[layer] = torch.cat([cache[layer], ", "= cache[layer] = torch.cat([cache[0], "),  # another layer's
    ],
)
def test_a_bug_in_it_is_noticed(right, wrong):
    assert SOURCE.count(right) == 1
    with pytest.raises(AssertionError):
        run(SOURCE.replace(right, wrong))
