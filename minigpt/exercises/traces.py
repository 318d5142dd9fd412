"""A model that tells what was done to it: what an answer leaves behind, for the exercises of notebook 10."""

import torch

from minigpt.config import GPTConfig
from minigpt.model import GPT

TINY = GPTConfig(vocab_size=17, context=24, n_layer=1, n_head=1, n_embd=8)


def mode(training: bool) -> str:
    return "training" if training else "eval"


class Watched(GPT):
    """Remembers whether it has computed anything in training mode. Its weights have gradients, all ones."""

    trained = False

    def __repr__(self):
        return f"a model in {mode(self.training)} mode"

    def __deepcopy__(self, memo):
        return watched(self.training)  # a copy of a weight would have no gradient

    def hidden(self, *arguments):
        self.trained |= self.training
        return super().hidden(*arguments)


def watched(training: bool) -> Watched:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Watched(TINY).double().train(training)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    return model


def traces(text, model, *_):
    """The text, and how the model and torch were left."""
    weights = [*model.parameters()]
    modes = {mode(each.training) for each in model.modules()}
    return {
        "the text": text,
        "the mode in which it computed": mode(model.trained),
        "the mode in which it was left": " and ".join(sorted(modes)),
        "gradients are on": torch.is_grad_enabled(),
        "its weights ask for gradients": all(weight.requires_grad for weight in weights),
        "its gradients are as they were": all(
            weight.grad is not None and bool((weight.grad == 1).all()) for weight in weights
        ),
    }
