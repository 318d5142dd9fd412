"""How many pairs of a query and a key there are, for one text and one head, summed over all layers, each of which may
have its own window: pairs that see each other, and pairs that a masking kernel computes."""

from collections.abc import Callable

from minigpt.config import Config
from minigpt.measure.forms.architecture import architecture_of
from minigpt.measure.forms.sums import pyramid, tetrahedron, triangle

Slots = int | tuple[int | None, ...] | None  # of all layers, or of each; None: as many as tokens so far


def seen_pairs(config: Config, tokens: int) -> int:
    """Pairs that see each other among the first `tokens` tokens.

    The token at position p sees p + 1 tokens: 1 + 2 + ... pairs in all. With a window and sinks there is a most that
    it can see; the first token past that misses 1, the next 2, and so on: again 1 + 2 + ...
    """
    return over_layers(config, lambda view: triangle(tokens) - triangle(max(0, tokens - view)), most=tokens)


def seen_pairs_again(config: Config, tokens: int) -> int:
    """The same, if every text from 1 to `tokens` tokens is read anew: a sum of triangles, less what is missed."""
    return over_layers(config, lambda view: tetrahedron(tokens) - tetrahedron(max(0, tokens - view)), most=tokens)


def over_layers(config: Config, of: Callable[[int], int], most: int) -> int:
    """The sum over all layers of a count that depends on how many tokens a query sees at most (`most`: no window)."""
    model = architecture_of(config)
    return model.over_layers(lambda window: of(most if window is None else window + model.sinks))


def prompt_pairs(config: Config, prompt: int, chunk: int, slots: Slots) -> int:
    """Pairs computed for a prompt fed in chunks: n chunks of c over c, 2 c, ... slots, and the rest over all."""
    c = min(chunk, prompt)
    growing = c * c * triangle(prompt // c) + prompt % c * prompt
    return sum(growing if fixed is None else prompt * fixed for fixed in by_layer(config, slots))


def step_pairs(config: Config, tokens: int, steps: int, slots: Slots) -> int:
    """Pairs computed for the last `steps` of so many tokens, fed one by one."""
    growing = triangle(tokens) - triangle(tokens - steps)
    return sum(growing if fixed is None else steps * fixed for fixed in by_layer(config, slots))


def text_pairs(config: Config, tokens: int) -> int:
    """Pairs computed if every text from 1 to `tokens` tokens is fed whole: a sum of squares."""
    return config.n_layer * pyramid(tokens)


def by_layer(config: Config, slots: Slots) -> tuple[int | None, ...]:
    return slots if isinstance(slots, tuple) else (slots,) * config.n_layer
