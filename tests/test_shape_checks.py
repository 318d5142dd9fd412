"""The tests' own check of shapes: each kind of wrong shape is refused, in the package as it is loaded here."""

from collections.abc import Iterator

import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from helpers import as_for_a_user
from jaxtyping import Float
from shape_checks import checked
from torch import Tensor

from minigpt.attention import attend, sees
from minigpt.cache.text import Text
from minigpt.measure.counted.run import Run

q, k, positions = torch.zeros(2, 3, 4, 8), torch.zeros(2, 5, 2, 8), torch.zeros(2, 3, dtype=torch.int64)
x = torch.zeros(2, 3)


def test_what_is_right_passes():
    assert attend(q, k, k, None).shape == q.shape
    assert sees(positions, positions).shape == (2, 1, 3, 3)


WRONG = {
    "an axis too few": lambda: attend(q[0], k, k, None),
    "one name, two sizes": lambda: attend(q, k, k[:, :4], None),
    "of another argument": lambda: sees(positions, positions[:1]),
    "by its keyword": lambda: sees(positions, k_pos=positions[:1]),
    "a float for an integer": lambda: sees(positions.float(), positions),
    "no tensor": lambda: sees(positions, [[1, 2, 3]]),
    "in a method": lambda: Text.empty(2, torch.device("cpu")).append(positions, positions[:, :2]),
    "another type": lambda: Text.empty("2", torch.device("cpu")),
    "a field of a dataclass": lambda: Run(positions.float(), q, [], 0, positions, []),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises((BeartypeCallHintViolation, TypeError), match=r"violates type hint|Type-check error"):
        wrong()


@pytest.mark.parametrize("wrong", [lambda x: x[:, 1:], lambda x: x.long(), lambda x: x.tolist()])
def test_a_result_is_checked_against_the_arguments(wrong):
    @checked(typechecker=beartype)
    def same(x: Float[Tensor, "B T"], how) -> Float[Tensor, "B T"]:
        return how(x)

    assert same(x, torch.exp).shape == x.shape
    with pytest.raises(BeartypeCallHintViolation, match="return"):
        same(x, wrong)


@checked(typechecker=beartype)
def in_turn(x: Float[Tensor, "B T"], y: Float[Tensor, "B T"]) -> Iterator[Tensor]:
    yield from x + y


@checked(typechecker=beartype)
def shorter(x: "Float[Tensor, 'B T']", between=lambda: None) -> Float[Tensor, "B S"]:
    between()
    return torch.stack([*in_turn(x[:, 1:], x[:, 1:])])


def test_each_call_has_axes_of_its_own():
    """Of a call inside another, of a generator that runs in one, and of one that has ended."""
    assert shorter(x, lambda: shorter(torch.zeros(5, 4))).shape == (2, 2)
    assert shorter(torch.zeros(5, 4)).shape == (5, 3)


def test_a_generator_is_checked_when_it_is_called():
    with pytest.raises(TypeError, match="parameter 'y'"):
        in_turn(x, x[:, 1:])


def test_a_hint_in_quotes_is_checked():
    with pytest.raises(BeartypeCallHintViolation, match="parameter x"):
        shorter(x[0])


def test_for_a_user_nothing_is_checked():
    with as_for_a_user():
        assert sees(positions.float(), positions).shape == (2, 1, 3, 3)
