"""The bugs of notebook 11, in its order: each teaches something else."""

from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.bugs import BUGS

SHIPPED: list[BrokenCache | ChangedWord] = [
    BUGS[what]
    for what in (
        "the causal mask is aligned to the upper left",
        "what padding is handed is seen by a single token",
        "trimmed tokens come back with the next append",
        "every layer has the ring of the narrowest window",
        "select forgets the rounded keys",
        "the residual is rounded a token too early",
        "two conversations share their keys",
        "query heads read the key heads in turns",
    )
]
