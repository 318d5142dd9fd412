"""The page's engine against torch, and how quick it is, where there is Node."""

from dataclasses import dataclass
from pathlib import Path

import torch

from minigpt.model import GPT
from minigpt.page import node
from minigpt.recall.corpus import held_out

SCRIPT = Path(__file__).with_suffix(".mjs")
PROMPTS, LENGTH = 100, 50  # of prose that the model was not trained on
PROMPT, NEW = "HAMLET.\nTo be", 100


@dataclass(frozen=True)
class Measured:
    """difference: the largest of a logit to torch's, behind PROMPTS prompts. cached, uncached: tokens decoded a second,
    over NEW tokens, on one core."""

    difference: float
    cached: float
    uncached: float


@torch.inference_mode()
def measured() -> Measured:
    """Takes seconds. Raises RuntimeError where there is no Node."""
    prompts = torch.from_numpy(held_out().ids[: PROMPTS * LENGTH]).long().view(PROMPTS, LENGTH)
    logits, *milliseconds = node.ask(
        SCRIPT,
        [
            {"kind": "logits", "prompts": prompts.tolist()},
            *(
                {"kind": "decoded", "request": {"prompt": PROMPT, "newTokens": NEW, "cache": cache}}
                for cache in ("dynamic", "none")
            ),
        ],
    )
    theirs = GPT.from_pretrained("recall")(prompts)[:, -1]
    difference = (torch.tensor(logits) - theirs).abs().max().item()
    return Measured(difference, *(1000 * len(each) / sum(each) for each in milliseconds))
