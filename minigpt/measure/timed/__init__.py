"""What depends on the machine: tokens a second, and how long one more token takes after so many.

In each round all contestants take turns, so that a busy minute hits all of them. Nothing timed is ever asserted.
"""
