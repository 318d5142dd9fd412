"""Which layers an offloaded cache has here, and what it moves, update by update."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor
from minigpt.cache import make_cache
from minigpt.config import GPTConfig
