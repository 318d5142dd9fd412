"""The exercises of notebook 02."""

import torch

from minigpt.check import Exercise
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer


def greedy(model, ids, new_tokens):
    return model.generate(ids, max_new_tokens=new_tokens, use_cache=False)


@torch.no_grad()
def greedy_but(model, ids, new_tokens, feed, take):
    """A greedy loop with one thing wrong: which part of the text is fed, or which row of logits is taken."""
    for _ in range(new_tokens):
        ids = torch.cat([ids, take(model(feed(ids))).argmax(-1, keepdim=True)], dim=1)
    return ids


def shared(old, new):
    """Tokens that both begin with."""
    same = [a == b for a, b in zip(old, new, strict=False)]
    return same.index(False) if False in same else len(same)


rows_computed = Exercise(
    reference=lambda prompt, new_tokens: sum(prompt + step for step in range(new_tokens)),
    cases=[(1, 1), (7, 1), (7, 8), (100, 50)],
    mistakes={
        "the last new token is never fed: nothing is asked of it": lambda prompt, new_tokens: sum(
            prompt + step for step in range(new_tokens + 1)
        ),
        "the first step feeds the prompt, not the prompt and a token": lambda prompt, new_tokens: sum(
            prompt + step for step in range(1, new_tokens + 1)
        ),
        "that is what a cache computes: each row once": lambda prompt, new_tokens: prompt + new_tokens - 1,
        "each step feeds the text as long as it is by then": lambda prompt, new_tokens: prompt * new_tokens,
    },
)

MODEL = GPT.from_pretrained("recall", dtype=torch.float64)
IDS = torch.tensor([load_tokenizer("recall").encode(text).ids for text in ("HAMLET.\nTo be", "ROMEO.\nBut")])

generation = Exercise(
    reference=greedy,
    cases=[(MODEL, IDS[:1, :7], 5), (MODEL, IDS, 4)],
    axes="row token",
    mistakes={
        "it takes the logits of the first token: the next token comes from those of the last": lambda m, i, n: (
            greedy_but(m, i, n, lambda ids: ids, lambda logits: logits[:, 0])
        ),
        "it feeds only the newest token, and without a cache the model knows of no others": lambda m, i, n: greedy_but(
            m, i, n, lambda ids: ids[:, -1:], lambda logits: logits[:, -1]
        ),
        "it feeds the prompt at each step, and not what was generated": lambda m, i, n: greedy_but(
            m, i, n, lambda ids: ids[:, : i.shape[1]], lambda logits: logits[:, -1]
        ),
        "it returns the new tokens without the prompt": lambda m, i, n: greedy(m, i, n)[:, i.shape[1] :],
    },
)

reusable = Exercise(
    reference=lambda old, new: min(shared(old, new), len(new) - 1),
    cases=[
        ([1, 2, 3], [1, 2, 3, 4]),
        ([1, 2, 3], [1, 9, 3, 4]),
        ([1, 2, 3, 4], [1, 2]),
        ([1, 2, 3], [1, 2, 3]),
        ([5], [6]),
        ([1, 2, 3, 4], [1, 2, 9, 4, 5]),
    ],
    mistakes={
        "past the first change a token may be the same by chance, but not its row": lambda old, new: min(
            sum(a == b for a, b in zip(old, new, strict=False)), len(new) - 1
        ),
        "the last token must be fed all the same, or there are no logits": lambda old, new: shared(old, new),
        "one more row can be kept": lambda old, new: max(0, min(shared(old, new), len(new) - 1) - 1),
    },
)
