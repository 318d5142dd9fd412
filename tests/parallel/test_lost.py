"""Processes that die, are late, never come or differ: all others end, soon, with a reason, and nothing half printed."""

from pathlib import Path

import pytest
import torch.distributed as dist
from start_processes import ended, together

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
HERE = Path(__file__).parent


def gave_up(process, reason):
    """Whether it ended with exit code 2 and a line that says so, and printed nothing else."""
    code, out, told = process
    assert (code, out, told.count("\n")) == (2, "", 1), process
    assert told.startswith(f"minigpt: {reason}"), told
    return True


def test_a_process_that_dies_in_mid_generation_ends_the_others_at_once():
    """Long before the 600 seconds that they would wait for one that lives. It is the one that the others first met."""
    died, *left = ended(together(3, HERE / "dying.py", 600, "killed", 0))
    assert died[0] not in (0, 1, 2), died
    assert died[1] == ""
    assert all(gave_up(each, "another process has ended, or has not answered for 600 seconds") for each in left)


def test_a_process_that_is_late_is_not_waited_for():
    both = ended(together(2, HERE / "dying.py", 6, "late", 1))
    assert all(gave_up(each, "another process has ended, or has not answered for 6 seconds") for each in both)


def test_a_process_that_never_comes_is_not_waited_for():
    (alone,) = ended(together(2, HERE / "dying.py", 3, "killed", 1, come=1))
    assert gave_up(alone, "not all 2 processes have come within 3 seconds")


@pytest.mark.parametrize("what", [["weights"], ["version", "arguments"]])
def test_processes_that_differ_say_in_what(what):
    both = ended(together(2, HERE / "differing.py", *what))
    assert all(gave_up(each, f"the processes differ in {', '.join(what)}: start all of them alike") for each in both)


def test_a_process_that_is_alone_says_how_to_start_several():
    from minigpt.parallel import together

    with pytest.raises(ValueError, match="this process is alone"), together():
        pass
