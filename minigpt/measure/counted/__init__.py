"""What a run really did, counted while it runs: rows computed, FLOPs, bytes held and moved.

Each counter wraps a cache and passes its verbs on, so that any generation can be watched without changing it. The
numbers equal the closed forms of `forms` exactly, and are the same on every machine.
"""
