"""Modules that are made for a file's weights draw none of their own."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from minigpt.uninitialised import without_init

MAKE = """
import sys, torch
from torch import nn
from minigpt.uninitialised import without_init
HEAVY = {"torch._dynamo", "torch._inductor", "sympy"}
assert not HEAVY & set(sys.modules), "torch itself has imported them"
with without_init(), torch.device("meta"):
    nn.Linear(4, 5), nn.Embedding(6, 7), nn.LayerNorm(8)
    nn.init.normal_(nn.Linear(4, 5).weight, std=0.02)
    nn.init.trunc_normal_(nn.Linear(4, 5).weight)
assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
"""


def test_making_modules_on_the_meta_device_imports_no_compiler():
    """It took a second and 70 MB, and left a folder in the system's temporary one."""
    result = subprocess.run([sys.executable, "-c", MAKE], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_nothing_is_drawn(device):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with without_init(), torch.device(device):
        layers = nn.Linear(4, 5), nn.Embedding(6, 7), nn.LayerNorm(8)
        nn.init.normal_(layers[0].weight, std=0.02)
        nn.init.xavier_uniform_(layers[0].weight)
        nn.init.trunc_normal_(layers[0].weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert [tuple(layer.weight.shape) for layer in layers] == [(5, 4), (6, 7), (8,)]
    assert all(layer.weight.device.type == device for layer in layers)


def test_afterwards_modules_are_filled_as_ever():
    torch.manual_seed(0)
    want = nn.Linear(4, 5).weight
    with without_init():
        nn.Linear(4, 5)
    torch.manual_seed(0)
    assert torch.equal(nn.Linear(4, 5).weight, want)
