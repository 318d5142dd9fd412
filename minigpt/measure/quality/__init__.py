"""How good the model stays with each cache, and how sure that is.

Each cache is compared with its oracle and with the uncached model; the model sits the exam of `recall` under every
setting; and rounding errors are measured by themselves. What takes minutes is recorded in one file, which figures and
tests read.
"""
