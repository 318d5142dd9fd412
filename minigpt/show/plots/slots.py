"""The slots of a cache as it fills: which hold a token, which are empty, and how their number grows."""

from dataclasses import dataclass

import torch
from matplotlib.colors import ListedColormap

from minigpt.cache import make_cache
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer
from minigpt.show.plots.style import Picture, Theme, drawn

PROMPT, NEW = "HAMLET.\nTo be", 2


@dataclass(frozen=True)
class Step:
    """tokens: the words held after the step, the last `new` of which came in it. before, room: slots of a layer before
    and after it."""

    tokens: list[str]
    new: int
    before: int
    room: int


def filling() -> list[Step]:
    """What a dynamic cache of the bundled model holds after a prompt, and after each of the next tokens."""
    model, tokenizer = GPT.from_pretrained("recall"), load_tokenizer("recall")
    ids = torch.tensor([tokenizer.encode(PROMPT).ids])
    text = model.generate(ids, max_new_tokens=NEW)
    words = [tokenizer.decode([token]).strip() or "\\n" for token in text[0].tolist()]
    cache, found = make_cache("dynamic", model.config), []
    for end in range(ids.shape[1], len(words) + 1):
        start, before = cache.length, cache.room
        with torch.no_grad():
            model(text[:, start:end], cache=cache)
        found.append(Step(words[:end], end - start, before, cache.room))
    return found


@drawn
def slots(steps: list[Step], theme: Theme) -> Picture:
    """A grid of layers by slots after each step: new, kept, free."""
    layers, most = GPT.from_pretrained("recall").config.n_layer, max(step.room for step in steps)
    picture = Picture(
        "A cache holds the keys and values of each token, in each layer;\nwhen its slots are full, it doubles them",
        f"Grids of {layers} layers by slots: after the prompt {steps[0].room} slots, all filled; then {most}, of which "
        f"{' and '.join(str(len(step.tokens)) for step in steps[1:])} are filled and the others free.",
        theme,
    )
    shades = ListedColormap([theme.paper, theme.empty, theme.mix("blue", 0.4), theme.blue])
    for panel, step in zip(picture.panels(len(steps), 1), steps, strict=True):
        held, kept = len(step.tokens), len(step.tokens) - step.new
        cells = torch.zeros(layers, most)
        cells[:, : step.room], cells[:, :held], cells[:, kept:held] = 1, 2, 3
        panel.imshow(cells.numpy(), cmap=shades, vmin=0, vmax=3, aspect="auto")
        panel.vlines([slot + 0.5 for slot in range(most)], -0.5, layers - 0.5, colors=theme.paper, linewidth=3)
        panel.hlines([layer + 0.5 for layer in range(layers)], -0.5, most - 0.5, colors=theme.paper, linewidth=3)
        for slot in range(step.room):
            word, ink = ("free", theme.muted) if slot >= held else ("kept", theme.ink)
            word, ink = ("new", theme.paper) if kept <= slot < held else (word, ink)
            panel.text(slot, (layers - 1) / 2, word, color=ink, ha="center", va="center")
        panel.set_title(said(step), loc="left")
        panel.set_xticks(range(held), step.tokens)
        panel.set_yticks(range(layers), [f"layer {layer}" for layer in range(layers)])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return picture


def said(step: Step) -> str:
    held, kept = len(step.tokens), len(step.tokens) - step.new
    if not kept:
        return f"The prompt: {held} tokens come, {step.room} slots are made"
    if step.room > step.before:
        return f"Token {held}: {step.room} slots are made, the {kept} kept tokens are copied, and the new one written"
    return f"Token {held}: it is written into the next free slot, and nothing is copied"
