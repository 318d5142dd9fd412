"""Beam search, equal to transformers': a row goes on in several texts at once, and the best that end are returned."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from minigpt.cache import KVCache
from minigpt.picking import Search


class Beams:
    """Picks each beam's next token, and puts the beams that go on in the place of those that don't, in the cache and in
    the text (R = rows x `count` beams, side by side). A text that ends, by one of `eos` or at full length, scores the
    sum of its new tokens' log-probabilities over (how many they are) ** penalty. A row that has `count` ended texts is
    done: at once (True), or when its best beam, scored at its present length (False) or at full length ("never", if
    penalty > 0), is no better than the worst of them.
    """

    def __init__(self, text: Int[Tensor, "R N"], prompt: int, cache: KVCache, eos: Int[Tensor, " e"], search: Search):
        self.text, self.prompt, self.end, self.cache, self.eos = text, prompt, prompt, cache, eos
        self.count, self.returned, self.early_stopping = search.beams, search.texts, search.early_stopping
        self.penalty = float(search.penalty)  # an int's power may be too large for torch
        self.scores = torch.full((len(text) // self.count, self.count), -torch.inf, device=text.device)
        self.scores[:, 0] = 0  # a row's beams start alike: one of them is enough
        self.ended: list[list[tuple[float, Tensor]]] = [[] for _ in self.scores]  # the best of each row, with scores
        self.done = [False for _ in self.scores]

    def __call__(self, logits: Float[Tensor, "R V"]) -> Int[Tensor, " R"]:
        sums = self.scores[:, :, None] + logits.log_softmax(-1).unflatten(0, self.scores.shape)
        # So many that `count` go on, even if all beams could end with all of eos.
        scores, places = sums.flatten(1).topk(self.count * max(2, 1 + len(self.eos)))
        first = torch.arange(0, len(logits), self.count, device=logits.device)[:, None]
        beams, tokens = first + places // logits.shape[1], places % logits.shape[1]
        self.end += 1
        ends = torch.isin(tokens, self.eos)
        self.scores, going_on = scores.masked_fill(ends, -torch.inf).topk(self.count)
        self.rank(ends[:, : self.count], scores / (self.end - self.prompt) ** self.penalty, beams, tokens)
        beams, tokens = (each.gather(1, going_on).flatten() for each in (beams, tokens))
        self.text.copy_(self.text[beams])
        self.cache.select(beams)
        return tokens

    def rank(self, ends: Bool[Tensor, "B n"], scores: Float[Tensor, "B c"], beams: Tensor, tokens: Tensor) -> None:
        """Take in the texts that end here, of the `count` best that each row has."""
        for row, nth in (ends | (self.end == self.text.shape[1])).nonzero().tolist():
            if not self.done[row]:
                text = torch.cat([self.text[beams[row, nth], : self.end - 1], tokens[row, nth, None]])
                self.ended[row].append((scores[row, nth].item(), text))
        length = (self.text.shape[1] if self.early_stopping == "never" and self.penalty > 0 else self.end) - self.prompt
        for row, hope in enumerate((self.scores[:, 0] / length**self.penalty).tolist()):
            best = self.ended[row] = sorted(self.ended[row], key=lambda each: -each[0])[: self.count]
            self.done[row] |= len(best) == self.count and (self.early_stopping is True or hope <= best[-1][0])
        self.all_done = all(self.done)

    def best(self, pad: int | None) -> Int[Tensor, "M n"]:
        """The best texts of each row, filled with `pad` to the length of the longest."""
        return pad_sequence([text for row in self.ended for _, text in row[: self.returned]], True, pad or 0)
