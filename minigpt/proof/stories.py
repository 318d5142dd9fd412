"""What a cache lives through in each situation, in words that a person and a program can read.

A story is steps, in order. "rows 0 3 9": three rows, with so many pads on their left. "feed 4": the next 4 tokens of
every row; "decode 4": the same, one at a time. "crop 5": take 5 back. "select 2 0", "reorder 2 0 0": these rows, in
this order. "repeat 2": each row twice. "reset": forget. "fork": go on with a copy; "another": with a new cache; "swap":
with the other of the two again.

After "try" comes what may be refused, and then must have changed nothing: "fill 1": one token more than there are slots
("fill 0" is just as many); "strangers 1": a token for another number of rows; "keep 4": a crop that is not negative;
"generate 12": what follows another text of 12 tokens.
"""

from collections.abc import Collection

from minigpt.proof.situations import LONG_RULES, RULES, WINDOW

DECODE = "; feed 1" * 14
EDGES = "; feed 1; feed 1; feed 1".join(f"; feed {count}" for count in (14, 45, 61, 125, 253)) + "; feed 1" * 4

SITUATIONS = {
    "prefill": ["rows 0; feed 20", "rows 0 0 0; feed 1"],
    "chunks": [
        "rows 0 0; feed 4; feed 2; feed 3",
        "rows 0; feed 1; feed 7; feed 5; feed 1; feed 9; feed 4",
        "rows 0 0; feed 3; feed 3; feed 3; feed 3; feed 3; feed 3; feed 3; feed 3",
    ],
    "left padding": [
        "rows 0 3 9; feed 12; feed 1; feed 1; feed 4",
        "rows 0 3 9; feed 5; feed 7; feed 1; feed 6; feed 1",
        "rows 4 0; feed 1; feed 2; feed 3; feed 4; feed 1",
    ],
    "decode": ["rows 0 0 0; feed 6" + DECODE, "rows 0 5; feed 7" + DECODE],
    "long text": [
        "rows 0 5" + EDGES,
        "rows 0; feed 300; feed 290; feed 1",
        # A cache may change its ways at any length, not only at a power of two, and grow by what its prompt took.
        "rows 0; feed 1; decode 589; feed 1",
        "rows 0 5; feed 130; decode 460; feed 1",
    ],
    "window edge": [
        f"rows 0 0; feed {prompt}; feed {chunk}; feed 1; feed 1; feed {WINDOW}"
        for prompt in (WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW)
        for chunk in (1, 2, WINDOW - 1, WINDOW, WINDOW + 1)
    ],
    "overflow": [
        "rows 2 2; fill -1; try fill 1; fill 0",
        "rows 2 2; feed 5; fill 0; try fill 1",
        "rows 2 2; fill -3; try fill 5; feed 1",
    ],
    "crop": [
        "rows 0 0; feed 4; try crop 1; feed 1; feed 2",
        *(
            f"rows 0 0; feed 18; try crop {count}; feed 2; feed 3"
            for count in (1, WINDOW - 1, WINDOW, WINDOW + 1, 12, 17)
        ),
        *(f"rows 0 2; feed 8{'; feed 1' * 8}; try crop {count}; feed 1; feed 1" for count in (1, 2, 4, WINDOW, 8, 12)),
        "rows 0 2; feed 9; feed 1; try crop 3; feed 4; try crop 2; feed 1; feed 2",
    ],
    "reorder": [
        "rows 0 0 0; feed 9; reorder 2 0 0; feed 1; feed 3",
        "rows 0 4 2; feed 9; feed 1; reorder 1 2 0; feed 1; reorder 1 1 2; feed 2",
    ],
    "repeat": ["rows 0 0; feed 9; repeat 2; feed 1; feed 3", "rows 0 4; feed 9; feed 1; repeat 2; feed 1"],
    "select": [
        "rows 0 0 0; feed 9; select 2 0; feed 1; feed 3",
        "rows 0 4 2; feed 9; feed 1; select 1; feed 1; feed 2",
    ],
    "reset": ["rows 0 0; feed 9; reset; feed 7; feed 1", "rows 0 3; feed 9; feed 1; reset; feed 4; feed 2; feed 1"],
    "fork": [
        "rows 0 0; feed 9; fork; feed 3; swap; feed 2; swap; feed 1",
        "rows 0 3; feed 9; feed 1; fork; feed 1; swap; feed 2; feed 1; swap; feed 1; reset; swap; feed 1",
    ],
    "two at once": [
        "rows 0 0; feed 4; another; feed 3; swap; feed 1; swap; feed 1",
        "rows 0 3; feed 9; another; feed 4; swap; feed 2; feed 1; swap; feed 1; reset; swap; feed 1",
    ],
    "another text": ["rows 0; feed 9; try generate 12; feed 1", "rows 0; feed 9; try generate 6; feed 1"],
    "refused calls": [
        "rows 0 0; feed 9; try strangers 1; feed 2",
        "rows 0 0; feed 9; try crop 30; feed 2",
        "rows 0 0; feed 9; try keep 4; feed 2",
        "rows 0 0; feed 9; try select 0 7; feed 2",
    ],
}
FEEDS = "feed", "decode"
RULES_OF = {  # of who sees whom, where not all are of interest
    "window edge": [rule for rule in RULES if rule != "full"],
    "long text": [*LONG_RULES],
}


def steps_of(story: str) -> list[tuple[str, list[int], bool]]:
    """[("feed", [4], False), ("crop", [5], True), ...]: verb, numbers, and whether it is tried only."""
    words = [(step.removeprefix("try ").split(), step.startswith("try ")) for step in story.split("; ")]
    return [(verb, [int(number) for number in numbers], tried) for (verb, *numbers), tried in words]


def longest_text() -> int:
    """Tokens of the longest text that a story feeds: what a cache does later, none shows."""
    stories = [story for of_one in SITUATIONS.values() for story in of_one]
    return max(sum(sum(numbers) for verb, numbers, _ in steps_of(story) if verb in FEEDS) for story in stories)


MEANINGS = {
    "rows": "how many pads each row has on its left",
    "feed": "tokens of each row",
    "decode": "tokens of each row, one at a time",
    "fill": "up to the last slot, and so many more",
    "crop": "tokens taken back",
    "keep": "a crop by a number that isn't negative",
    "select": "these rows, in this order",
    "reorder": "these rows, in this order",
    "repeat": "each row so often",
    "reset": "forget all",
    "fork": "go on with a copy",
    "another": "go on with a new cache",
    "swap": "go on with the other of the two",
    "strangers": "a token for so many other rows",
    "generate": "after another text of so many tokens",
}


def explained(stories: Collection[str]) -> str:
    """What the words of these stories mean."""
    used = {verb for story in stories for verb, *_ in steps_of(story)}
    words = "; ".join(f"{verb}: {meaning}" for verb, meaning in MEANINGS.items() if verb in used)
    tried = ". What comes after try may be refused" if any("try " in story for story in stories) else ""
    return f"In a story, {words}{tried}. Tokens count from 0, with the pads."
