"""The tests' own check of shapes: each kind of wrong shape is refused, in the package as it is loaded here."""

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from helpers import as_for_a_user
from jaxtyping import Float
from shape_checks import checked
from torch import Tensor

from minigpt.attention import attend, sees
from minigpt.cache.text import Text
from minigpt.measure.counted.run import Run

q, k, positions = torch.zeros(2, 3, 4, 8), torch.zeros(2, 5, 2, 8), torch.zeros(2, 3, dtype=torch.int64)


def test_what_is_right_passes():
    assert attend(q, k, k, None).shape == q.shape
    assert sees(positions, positions).shape == (2, 1, 3, 3)


@pytest.mark.parametrize(
    "wrong",
    {
        "an axis too few": lambda: attend(q[0], k, k, None),
        "one name, two sizes": lambda: attend(q, k, k[:, :4], None),
        "of another argument": lambda: sees(positions, positions[:1]),
        "a float for an integer": lambda: sees(positions.float(), positions),
        "no tensor": lambda: sees(positions, [[1, 2, 3]]),
        "in a method": lambda: Text.empty(2, torch.device("cpu")).append(positions, positions[:, :2]),
        "another type": lambda: Text.empty("2", torch.device("cpu")),
        "a field of a dataclass": lambda: Run(positions.float(), q, [], 0, positions, []),
    }.values(),
)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises((BeartypeCallHintViolation, TypeError)):
        wrong()


def test_a_result_is_checked_against_the_arguments():
    @checked
    def shorter(x: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        return x[:, 1:]

    with pytest.raises(BeartypeCallHintViolation, match="return"):
        shorter(positions.float())


def test_for_a_user_nothing_is_checked():
    with as_for_a_user():
        assert sees(positions.float(), positions).shape == (2, 1, 3, 3)
