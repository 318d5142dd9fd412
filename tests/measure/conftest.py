"""What the tests of timed measures share."""

import pytest
import torch

from minigpt.config import GPTConfig
from minigpt.model import GPT


@pytest.fixture(scope="module")
def model():
    """Unless a file has one of its own."""
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=64, context=64, n_layer=2, n_head=2, n_embd=32)).eval().requires_grad_(False)
