"""The graders: a right answer gets one line, a wrong one the first place where it differs and what there is to see."""

import functools
import math

import numpy
import pytest
import torch

from minigpt.attention import NEVER, attend, sees
from minigpt.check import WrongAnswer, check

NUMBERS = torch.arange(1.0, 25).view(2, 3, 4) ** 1.5  # all different, and no factor or constant apart


def message(answer, want, **options):
    """What a student reads who returns `answer` where `want` is right."""
    with pytest.raises(WrongAnswer) as wrong:
        check(lambda: answer, lambda: want, (), **options)
    return str(wrong.value)


@pytest.mark.parametrize(
    "value",
    [NUMBERS, NUMBERS > 4, torch.tensor(3), torch.zeros(0, 2), 3, 2.5, "text", True, None, (1, [2, NUMBERS])],
    ids=repr,
)
def test_a_right_answer_gets_one_line(value, capsys):
    def mine():
        return value

    check(mine, lambda: value, (), ())
    assert capsys.readouterr().out == "✓ mine: right in 2 cases.\n"


def test_a_stub_is_not_a_mistake(capsys):
    def mine(x):
        raise NotImplementedError

    check(mine, lambda x: x, (1,))
    assert capsys.readouterr().out.startswith("○ mine: not written yet")


def test_rounding_is_no_mistake_and_more_than_that_is_one():
    check(lambda: NUMBERS * (1 + 1e-8), lambda: NUMBERS, ())
    check(lambda: torch.full((3,), math.nan), lambda: torch.full((3,), math.nan), ())
    assert "nearly right" in message(NUMBERS + 1e-3 * torch.rand(NUMBERS.shape), NUMBERS)


def test_whole_numbers_are_equal_or_not_however_large_their_neighbours_are():
    right = torch.tensor([NEVER, 0, 1, 2])
    assert "at i 1, got 1, wanted 0 (3 of 4 differ)" in message(torch.tensor([NEVER, 1, 2, 3]), right)
    assert "nearly" not in message(torch.tensor([NEVER, 9, 1, 7]), right)


def test_a_wrong_number_is_named_by_its_first_position_on_the_axes():
    wrong = NUMBERS.clone()
    wrong[1, 0, 2] = wrong[1, 2, 3] = -7
    assert f"at T 1, H 0, D 2, got -7, wanted {NUMBERS[1, 0, 2]:.6g} (2 of 24 differ)" in message(
        wrong, NUMBERS, axes="T H D"
    )
    assert "at i 1, j 0, k 2, got -7" in message(wrong, NUMBERS)


def test_the_first_case_that_differs_is_named_with_its_arguments():
    with pytest.raises(WrongAnswer, match=r"<lambda>, case 2 \(x = float32 \(2, 3, 4\), n = 7\): got 7, wanted 8"):
        check(lambda x, n: n, lambda x, n: n + n // 6, (NUMBERS, 5), (NUMBERS, 7), (NUMBERS, 8))


RIGHT = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
LATE = torch.cat([RIGHT[:3], -(RIGHT[3:] ** 2)])
HINTS = {
    "the right answer with i and j swapped": (RIGHT.T, RIGHT),
    "reverse order along j": (RIGHT.flip(1), RIGHT),
    "one place too far on along i": (RIGHT.roll(1, 0), RIGHT),
    "one place too early along j": (torch.cat([RIGHT[:, 1:], RIGHT[:, :1]], 1), RIGHT),
    "i 0 alone is right": (RIGHT[:1].expand(5, 5), RIGHT),
    "i 4 alone is right": (RIGHT[-1:].expand(5, 5), RIGHT),
    "right up to i 2, wrong from i 3 on": (LATE, RIGHT),
    "wrong up to i 1, right from i 2 on": (LATE.flip(0), RIGHT.flip(0)),
    "every number is 2 times": (2 * RIGHT, RIGHT),
    "the sign is wrong": (-RIGHT, RIGHT),
    "every number is off by 3": (RIGHT + 3, RIGHT),
    "4 of 25 numbers are NaN": (RIGHT.where(RIGHT > -1, math.nan), RIGHT),
    "4 of 25 numbers are infinite": (RIGHT.where(RIGHT > -1, math.inf), RIGHT),
    "True and False are swapped": (~CAUSAL, CAUSAL),
    "differs on the diagonal alone": (CAUSAL.tril(-1), CAUSAL),
    "queries see what they may not, up to 2 keys too many": (CAUSAL | CAUSAL.roll(2, 1), CAUSAL),
    "queries don't see all that they may, up to 3 keys too few": (CAUSAL.triu(-1), CAUSAL),
    "i and j are swapped": (NUMBERS.transpose(0, 1), NUMBERS),
    "in another shape": (NUMBERS.flatten(), NUMBERS),
    "2 axes instead of 3": (NUMBERS[0], NUMBERS),
    "one too few along j": (NUMBERS[:, 1:], NUMBERS),
    "there is no `return`": (None, RIGHT),
}


@pytest.mark.parametrize("hint", HINTS)
def test_what_is_to_be_seen_is_told(hint):
    assert hint in message(*HINTS[hint]).split("To be seen: ")[1]


def test_numbers_that_look_like_nothing_get_no_hint():
    noise = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    assert "\n" not in message(noise, RIGHT)


def test_a_number_will_do_whatever_library_made_it():
    check(lambda: [2, numpy.float64(0.5), math.nan], lambda: [2.0, 0.5, math.nan], ())
    check(lambda: [numpy.int64(2), numpy.bool_(True)], lambda: [2, True], ())
    check(lambda: range(3), lambda: [0, 1, 2], ())
    check(lambda: filter(None, [0, 1, 2]), lambda: [1, 2], ())
    assert "at [1], got 4, wanted 2" in message((each for each in (1, 4)), [1, 2])


@pytest.mark.parametrize("answer", [functools.partial(max), max, len, int, dict], ids=repr)
def test_any_callable_can_be_an_answer(answer):
    with pytest.raises(WrongAnswer):
        check(answer, lambda x: "another", (5,))
    with pytest.raises(WrongAnswer):
        check(answer, lambda x: "another", ([5, 6],))


def test_an_answer_that_turns_gradients_off_turns_them_off_for_nobody_else():
    with pytest.raises(WrongAnswer):
        check(lambda: torch.set_grad_enabled(False) and 1, lambda: 2, ())
    assert torch.is_grad_enabled()


def test_a_value_is_no_answer():
    with pytest.raises(WrongAnswer, match="got 5, wanted a function: hand in its name, without calling it"):
        check(5, lambda: 5, ())


def test_what_torch_has_not_implemented_is_not_an_exercise_that_is_not_written():
    mask = torch.eye(2, dtype=torch.bool)
    with pytest.raises(WrongAnswer, match=r"NotImplementedError: .*not implemented for 'Bool'"):
        check(lambda mask: mask @ mask, lambda mask: mask, (mask,))


def test_what_an_answer_did_to_its_arguments_is_looked_at_and_not_what_it_says_of_it():
    def lies(model):
        model.train()
        return "in eval mode"

    exercise = {"observe": lambda returned, model: model.training}
    check(lambda model: model.train(), lies, (torch.nn.Linear(1, 1),), **exercise)
    with pytest.raises(WrongAnswer, match=r"got True, wanted False\nLikely: it is left in training mode"):
        check(lies, lambda model: model.eval(), (torch.nn.Linear(1, 1),), **exercise,
              mistakes={"it is left in training mode": lambda model: model.train()})  # fmt: skip


def test_a_known_mistake_is_told_by_its_own_sentence():
    """It goes before what the numbers look like: a missing mask has its name."""
    q, k, v = torch.randn(3, 1, 6, 2, 4, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(6)[None]
    with pytest.raises(WrongAnswer, match="Likely: the mask is missing") as wrong:
        check(
            lambda q, k, v: attend(q, k, v, None),
            lambda q, k, v: attend(q, k, v, sees(positions, positions)),
            (q, k, v),
            axes="B T H D",
            mistakes={"nothing": lambda q, k, v: q, "the mask is missing": lambda q, k, v: attend(q, k, v, None)},
        )
    assert "at B 0, T 0, H 0, D 0" in str(wrong.value)


@pytest.mark.parametrize(
    ("got", "want", "said"),
    [
        (3, RIGHT, "got 3, wanted float32 (5, 5)"),
        (RIGHT[0], RIGHT, "got shape (5,), wanted (5, 5)"),
        (RIGHT, CAUSAL, "got float32 (5, 5), wanted bool (5, 5)"),
        ([1, RIGHT], [1, CAUSAL], "at [1], got float32 (5, 5)"),
        (7, [1, 2], "got 7, wanted a list of 2"),
        (torch.nn.Sequential(torch.nn.Linear(2, 2)), 1, "got a Sequential, wanted 1"),
        ("a" * 99, "b", f"got '{'a' * 56}..., wanted 'b'"),
        (1, 2.5, "got 1, wanted 2.5"),
        (3.0, 3, "got 3.0: the number is right, but it is a float, and a whole number is wanted"),
        (torch.tensor(3), 3, "the number is right, but it is a Tensor, and a whole number is wanted"),
        (1, True, "got 1, wanted True"),
        ([True], [1], "at [0], got True, wanted 1"),
        (
            RIGHT.tolist(),
            RIGHT,
            "the numbers are right, but their type is list, and a tensor is wanted: float32 (5, 5)",
        ),
        ([*CAUSAL], CAUSAL, "the numbers are right, but their type is list, and a tensor is wanted: bool (5, 5)"),
        (RIGHT.numpy(), RIGHT, "the numbers are right, but their type is ndarray, and a tensor is wanted"),
        ([*-RIGHT], RIGHT, "wanted float32 (5, 5)"),
        ([[]], RIGHT, "got [[]], wanted float32 (5, 5)"),
        ([1, [2]], RIGHT, "got [1, [2]], wanted float32 (5, 5)"),
        (CAUSAL.int(), CAUSAL, "the numbers are right, but they are int32, and bool is wanted"),
        (torch.tensor([1, 2]), [1, 2], "what it holds is right, but its type is Tensor, and a list is wanted"),
        ({1, 2}, (1, 2), "what it holds is right, but its type is set, and a list is wanted"),
        ("ab", ["a", "b"], "got 'ab', wanted a list of 2"),
        (numpy.array([1, 3]), [1, 2], "got array([1, 3]), wanted a list of 2"),
        ((1, 2), {"read": 1, "lse": 2}, "got a tuple, wanted a dict with 'read', 'lse'"),
        ({"read": 1}, {"read": 1, "lse": 2}, "got a dict, with 'read', wanted a dict with 'read', 'lse'"),
        ({}, {"read": 1}, "got a dict, with nothing in it, wanted a dict with 'read'"),
        ([1, 2], [1, 2, 3], "got a list of 2, wanted one of 3"),
        (torch.tensor([1, 5]), torch.tensor([1, NEVER]), "got 5, wanted NEVER"),
        (
            torch.tensor([1, 5]),
            torch.tensor([1, 5]).byte(),
            "numbers are right, but they are int64, and uint8 is wanted",
        ),
        (RIGHT, RIGHT.double(), "the numbers are right, but they are float32, and float64 is wanted"),
        (RIGHT + 1j, RIGHT, "got complex64 (5, 5), wanted float32 (5, 5)"),
        (3 + 0j, 3.0, "got (3+0j), wanted 3.0"),
        (10**400, 3.0, "wanted 3.0"),
        (numpy.ones(3), 3.0, "wanted 3.0"),
        ({"text": 1, "mode": True}, {"text": 1, "mode": False}, "mode: got True, wanted False"),
        (CAUSAL.T, CAUSAL, "at i 0, j 1, got True, wanted False (20 of 25 differ)"),
    ],
    ids=str,
)
def test_an_answer_of_another_kind_is_refused_in_words(got, want, said):
    assert said in message(got, want)


def test_an_answer_that_breaks_is_told_where():
    def mine(x):
        return x[9]

    with pytest.raises(WrongAnswer, match=r"IndexError: .*\nIn line \d+ of mine: return x\[9\]") as wrong:
        check(mine, sum, ([1, 2],))
    assert isinstance(wrong.value.__cause__, IndexError)


def test_an_error_of_a_library_is_told_by_the_line_that_called_it():
    @torch.no_grad()
    def mine(x):
        return math.sqrt(abs(x) - 1) + torch.zeros(2).sum(7).item()

    with pytest.raises(WrongAnswer, match=r"IndexError: .*\nIn line \d+ of mine: return math.sqrt"):
        check(mine, lambda x: 0.0, (5.0,))


def test_an_answer_that_takes_other_arguments_is_told_so():
    with pytest.raises(WrongAnswer, match=r"TypeError: .*takes 0 positional arguments but 1 was given$"):
        check(lambda: 1, lambda x: 1, (5,))


def test_neither_side_sees_what_the_other_did_to_the_arguments():
    def mine(x):
        x += 1
        return x

    check(mine, lambda x: x + 1, (torch.zeros(3),), (torch.ones(3),))
    shared = torch.zeros(3)
    check(mine, lambda x: x + 1, (shared,))
    assert not shared.any()


def test_in_a_notebook_only_the_message_is_shown():
    with pytest.raises(WrongAnswer) as wrong:
        check(lambda: 1, lambda: 2, ())
    assert wrong.value._render_traceback_() == [f"✗ {wrong.value}"]


def test_a_padded_mask_that_is_moved_is_told_so():
    right = sees(torch.arange(4)[None], torch.tensor([[NEVER, 0, 1, 2]]))[0, 0]
    assert "one place too early along j" in message(sees(torch.arange(4)[None], torch.arange(4)[None])[0, 0], right)
