"""Graders for the notebooks' exercises: they say where an answer first differs from the right one, and likely why."""

from minigpt.check.grade import Exercise, WrongAnswer, check

__all__ = ["Exercise", "WrongAnswer", "check"]
