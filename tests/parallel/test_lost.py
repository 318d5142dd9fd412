"""Processes that die, are late, or differ: all others end, soon, with a reason, and leave nothing half done."""

from pathlib import Path

import pytest
import torch.distributed as dist
from start_processes import ended, together

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
HERE = Path(__file__).parent


def test_a_process_that_dies_in_mid_generation_ends_the_others():
    died, left = ended(together(2, HERE / "dying.py", "killed", 0))
    assert died[0] < 0
    assert left[0] == 2
    assert left[1] == ""
    assert left[2].startswith("minigpt: another process has ended, or has not answered for 5 seconds")
    assert left[2].count("\n") == 1, left[2]


def test_a_process_that_is_late_is_not_waited_for():
    waited, late = ended(together(2, HERE / "dying.py", "late", 1))
    assert waited[0] == 2
    assert "has not answered for 5 seconds" in waited[2]
    assert late[0] == 2


def test_a_process_that_never_comes_is_not_waited_for():
    (alone,) = ended(together(2, HERE / "dying.py", "killed", 0)[:1])
    assert alone[0] == 2
