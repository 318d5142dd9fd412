"""What depends on the machine: time to the first token, time a token, and how that grows with the text.

In each round all contestants take turns, so that a busy minute hits all of them. Nothing timed is ever asserted.
"""
