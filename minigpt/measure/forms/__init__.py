"""Closed forms: what a model and its cache cost, by arithmetic alone.

FLOPs, the bytes of each kind of cache (for our models, and for real ones from their config.json), and the least time
that a machine needs for both. Nothing here runs a model or imports torch; `counted` counts the same in a real run, and
the tests compare the two.
"""
