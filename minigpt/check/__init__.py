"""The graders of the notebooks' exercises: where a wrong answer first differs from the right one, and why, likely."""

from minigpt.check.grade import Exercise, WrongAnswer, check

__all__ = ["Exercise", "WrongAnswer", "check"]
