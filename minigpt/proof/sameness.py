"""Whether two answers, or two states of a cache, are the same, and the words that say where they are not."""

import torch

from minigpt.attention import NEVER

__tracebackhide__ = True  # a traceback shows the cache's lines, not those of its check

TOLERANCE = 1e-10


def hold(condition: bool, words: str) -> None:
    """An assertion that `python -O` does not leave out."""
    if not condition:
        raise AssertionError(words)


def assert_same(got, want, positions, note, first):
    """Equal logits wherever there is a token: padded queries are not counted. first: the number of the first token."""
    off = (got - want).abs().amax(-1).masked_fill(positions == NEVER, 0)
    wrong = ~(off <= TOLERANCE)  # so that NaN is wrong
    if not wrong.any():
        return
    rows = [
        f"row {row}, {tokens(these.nonzero()[:, 0] + first, positions[row, these])}: "
        f"off by up to {off[row, these].max():.3g}"
        for row, these in enumerate(wrong)
        if these.any()
    ]
    of_all = f"{wrong.sum()} of {wrong.numel()} tokens have wrong logits, the first is token"
    raise AssertionError("\n".join([f"{note}: {of_all} {wrong.any(0).nonzero()[0].item() + first}", *rows]))


def assert_same_text(cache, ids, positions):
    """What the cache says that it holds is what it was fed."""
    hold(cache.length == ids.shape[1], f"the cache says that it holds {cache.length} tokens, it was fed {ids.shape[1]}")
    for says, are, what in ((cache.positions, positions, "positions"), (cache.ids, ids, "tokens")):
        if not torch.equal(says, are):  # the words are slow to write, and few need them
            raise AssertionError(f"the cache says {says}, the {what} are {are}")


def tokens(numbers, positions) -> str:
    """Which these are, counted from 0 with the pads, and at which positions, if these are other numbers."""
    s, numbers, positions = "s" if len(numbers) > 1 else "", numbers.tolist(), positions.tolist()
    beside = f" (position{s} {listed(positions)})" if positions != numbers else ""
    return f"token{s} {listed(numbers)}{beside}"


def listed(numbers: list[int]) -> str:
    """The first few and the last of many."""
    return ", ".join(map(str, numbers if len(numbers) < 8 else [*numbers[:5], "...", numbers[-1]]))


def assert_unchanged(cache, before, note):
    """The cache's state, as it declares it, is what it was: tensors and numbers, in lists, tuples and dicts."""
    old, new = dict(leaves(before)), dict(leaves(cache.state()))
    changed = [
        place for place in {**old, **new} if not (place in old and place in new and alike(old[place], new[place]))
    ]
    for place in changed[:1]:
        was, now = (described(each[place]) if place in each else "nothing" for each in (old, new))
        raise AssertionError(f"{note} changed state(){place}: {was} became {now}")


def leaves(nested, place=""):
    """Each tensor or number of nested lists, tuples and dicts, and its place: '[0]', '[3][1]', "[3]['table']"."""
    if not isinstance(nested, list | tuple | dict):
        yield place, nested
        return
    for key, each in nested.items() if isinstance(nested, dict) else enumerate(nested):
        yield from leaves(each, f"{place}[{key!r}]")


def alike(one, other) -> bool:
    both = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
    return torch.equal(one, other) if both else type(one) is type(other) and one == other


def described(leaf) -> str:
    large = isinstance(leaf, torch.Tensor) and leaf.numel() > 8
    return f"a tensor {tuple(leaf.shape)} of {leaf.dtype}" if large else repr(leaf)
