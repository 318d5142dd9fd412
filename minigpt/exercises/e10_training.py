"""The exercises of notebook 10."""

import dataclasses
from collections.abc import Callable

import torch

from minigpt.check import Exercise
from minigpt.exercises.traces import TINY, traces, watched
from minigpt.model import GPT


def then(training):
    """An answer that generates in eval mode, then sets training to what `training` makes of it."""

    def answer(model, ids, new_tokens):
        before = model.training
        text = model.eval().generate(ids, max_new_tokens=new_tokens)
        model.train(training(before))
        return text

    return answer


def leaving(trace):
    """An answer that generates as it should, then leaves a trace."""

    def answer(model, ids, new_tokens):
        text = then(lambda before: before)(model, ids, new_tokens)
        trace(model)
        return text

    return answer


def mends_the_top_alone(model, ids, new_tokens):
    before = model.training
    text = model.eval().generate(ids, max_new_tokens=new_tokens)
    model.training = before
    return text


def new_alone(model, ids, new_tokens):
    return then(lambda before: before)(model, ids, new_tokens)[:, ids.shape[1] :]


def without_eval(model, ids, new_tokens):
    return model.generate(ids, max_new_tokens=new_tokens, use_cache=False)


def pieces(count: int, size: int) -> list[int]:
    return [min(size, count - start) for start in range(0, count, size)]


def names(n_layer: int) -> list[str]:
    return [name for name, _ in GPT(dataclasses.replace(TINY, n_layer=n_layer)).named_parameters()]


def of_the_last_layer(*parts: str, others: tuple[str, ...] = ("ln_f",), number: Callable = int):
    """An answer that returns those parts of the last layer, and others that are in no layer. number: makes a layer's
    number of its digits."""

    def answer(names):
        last = max((name.split(".")[1] for name in names if name.startswith("h.")), key=number)
        return [name for name in names if name.startswith((*(f"h.{last}.{part}" for part in parts), *others))]

    return answer


sample = Exercise(
    reference=then(lambda before: before),
    cases=[
        (watched(True), torch.tensor([[3, 1, 4]]), 5),
        (watched(False), torch.tensor([[1, 5, 9]]), 4),
    ],
    observe=traces,
    axes="row token",
    mistakes={
        "the model is left in eval mode: where there is dropout, training would go on without it": then(
            lambda before: False
        ),
        "a model that was in eval mode is left in training mode": then(lambda before: True),
        "`model.training = ...` sets the flag of the model alone: `model.train(...)` sets those of all its modules": (
            mends_the_top_alone
        ),
        "these are the new tokens alone: the prompt belongs to the text": new_alone,
        "it generated in training mode: in a model with dropout that would spoil the text": without_eval,
        "torch is left with its gradients off: `generate` needs no help, it turns them off for itself": leaving(
            lambda model: torch.set_grad_enabled(False)
        ),
        "the weights no longer ask for gradients: the training could not go on": leaving(
            lambda model: model.requires_grad_(False)
        ),
        "the gradients that the training has gathered are gone": leaving(lambda model: model.zero_grad()),
    },
)

pairs_with_gradient = Exercise(
    reference=lambda count, size: sum(n * (n + 1) // 2 for n in pieces(count, size)),
    cases=[(9, 4), (8, 4), (6, 6), (6, 1), (3, 5)],
    mistakes={
        "all pairs that see each other: those with a kept key pass no gradient back to it": lambda count, size: (
            count * (count + 1) // 2
        ),
        "within a piece too a token sees only itself and those before it": lambda count, size: sum(
            n * n for n in pieces(count, size)
        ),
        "the last piece may be shorter": lambda count, size: count // size * size * (size + 1) // 2,
        "a token sees itself, too": lambda count, size: sum(n * (n - 1) // 2 for n in pieces(count, size)),
    },
)

exact_names = Exercise(
    reference=of_the_last_layer("attn.c_proj", "ln_2", "mlp"),
    cases=[(names(3),), (names(1),), (names(11),)],
    mistakes={
        "layers are numbers: as words, 9 would come after 10": of_the_last_layer(
            "attn.c_proj", "ln_2", "mlp", number=str
        ),
        "the last layer makes keys and values, too: what it makes them with gets part of its gradient through kept "
        "rows": of_the_last_layer(""),
        "the whole last layer is too much, since it makes keys and values, too; and ln_f, which is behind all layers, "
        "is missing": of_the_last_layer("", others=()),
        "what comes before the keys and values, ln_1, makes them, too": of_the_last_layer(
            "ln_1", "attn.c_proj", "ln_2", "mlp"
        ),
        "the output head is the token embedding, which made the rows": of_the_last_layer(
            "attn.c_proj", "ln_2", "mlp", others=("ln_f", "wte")
        ),
        "the rows of the last layer are made with all that the layers below it do": lambda names: [
            name for name in names if any(part in name for part in ("attn.c_proj", "ln_2", "mlp", "ln_f"))
        ],
        "ln_f stands behind all layers: no kept row was made with it": of_the_last_layer(
            "attn.c_proj", "ln_2", "mlp", others=()
        ),
        "c_proj acts on what attention has made of the rows: no row was made with it": of_the_last_layer("ln_2", "mlp"),
    },
)
