"""The exercises of notebook 10."""

import torch

from minigpt.check import Exercise
from minigpt.config import GPTConfig
from minigpt.model import GPT


def tiny(training: bool) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=17, context=24, n_layer=1, n_head=1, n_embd=8)).double().train(training)


def then(mode):
    """An answer that generates in eval mode, then sets training to what `mode` makes of it."""

    def answer(model, ids, new_tokens):
        before = model.training
        text = model.eval().generate(ids, max_new_tokens=new_tokens)
        model.train(mode(before))
        return text, model.training

    return answer


def pieces(count: int, size: int) -> list[int]:
    return [min(size, count - start) for start in range(0, count, size)]


sample = Exercise(
    reference=then(lambda before: before),
    cases=[(tiny(True), torch.tensor([[3, 1, 4]]), 5), (tiny(False), torch.tensor([[1, 5, 9]]), 4)],
    mistakes={
        "the model is left in eval mode: training would go on without dropout": then(lambda before: False),
        "a model that was in eval mode is left in training mode": then(lambda before: True),
    },
)

pairs_with_gradient = Exercise(
    reference=lambda count, size: sum(n * (n + 1) // 2 for n in pieces(count, size)),
    cases=[(9, 4), (8, 4), (6, 6), (6, 1)],
    mistakes={
        "all pairs that see each other: those with a kept key pass no gradient back to it": lambda count, size: (
            count * (count + 1) // 2
        ),
        "within a piece too a token sees only itself and those before it": lambda count, size: sum(
            n * n for n in pieces(count, size)
        ),
        "the last piece may be shorter": lambda count, size: count // size * size * (size + 1) // 2,
    },
)

mended = Exercise(
    reference=lambda held, new: torch.arange(held, held + new),
    cases=[(5, 3), (0, 4), (7, 1)],
    axes="token",
    mistakes={
        "this still does what the broken one does": lambda held, new: torch.arange(new),
        "positions count from 0, so the next one is as large as the number of tokens held": lambda held, new: (
            torch.arange(held + 1, held + 1 + new)
        ),
        "all new tokens stand at the same place": lambda held, new: torch.full((new,), held),
    },
)
