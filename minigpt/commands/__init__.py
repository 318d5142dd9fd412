"""The commands, one a file: its SUMMARY, `declare` (its arguments) and `run` (what it does; returns the exit code).

Here and at the top of these files torch is not imported, so that --help answers at once.
"""

EXIT_OK, EXIT_DIFFERENT, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
