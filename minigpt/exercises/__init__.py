"""The right answers to the notebooks' exercises, and likely mistakes: a module for each notebook, with its number, and
in it an `Exercise` for each exercise."""
