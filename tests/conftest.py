"""Shapes are checked while the tests run: jaxtyping's hook puts beartype behind every annotation of the package."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test reaches the network
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from jaxtyping import install_import_hook

install_import_hook("minigpt", "beartype.beartype")

import torch  # noqa: E402

torch.set_num_threads(1)  # the models are tiny: more threads only wait for each other
