"""By heads: each process computes some of the heads, and keeps their keys and values in an unchanged cache.

Tensor parallelism (Shoeybi et al., arXiv 1909.08053, section 3): the products that make heads are cut by columns, and
those that join them by rows, so that a block needs two sums over all processes, one for attention and one for the MLP.
"""

import copy
import dataclasses
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from minigpt.language_model import LanguageModel
from minigpt.parallel.processes import Processes

COLUMNS = {"q_proj", "k_proj", "v_proj", "c_attn", "gate_proj", "up_proj", "c_fc"}  # each output belongs to one process
ROWS = {"o_proj", "down_proj", "c_proj"}  # each input does, and the outputs are sums over all of them

Model = TypeVar("Model", bound=LanguageModel)


def by_heads(model: Model, processes: Processes) -> Model:
    """This process's part of the model: of n processes each has 1/n of the heads and of the MLP, and the rest whole.

    Its `config` has the heads of one process, and so has a cache that is made for it. Raises ValueError where heads or
    MLP can't be cut into equal parts.
    """
    config, parts = model.config, processes.count
    for name in ("n_head", "n_kv_head", "n_inner"):
        if getattr(config, name) % parts:
            raise ValueError(
                f"{name} {getattr(config, name)} can't be cut into {parts} equal parts: start as many processes as "
                f"divide {config.n_head}, {config.n_kv_head} and {config.n_inner}"
            )
    part = copy.deepcopy(model)
    part.config = dataclasses.replace(
        config, n_head=config.n_head // parts, n_kv_head=config.n_kv_head // parts, head_size=config.head_size
    )
    for attention in part.attentions:
        if hasattr(attention, "heads"):  # one product makes queries, keys and values
            sort_by_process(attention.c_attn, attention.heads, attention.head_size, parts)
            attention.heads = [heads // parts for heads in attention.heads]
    names = [name for name, module in part.named_modules() if isinstance(module, nn.Linear)]
    plan: dict[str, ParallelStyle] = {name: ColwiseParallel() for name in names if name.rpartition(".")[2] in COLUMNS}
    plan |= {name: RowwiseParallel() for name in names if name.rpartition(".")[2] in ROWS}
    parallelize_module(part, DeviceMesh(model.device.type, list(range(parts))), plan)
    for name in plan:
        product = part.get_submodule(name)
        product.forward = torch.inference_mode(False)(product.forward)  # where DTensor would plan each anew
    return part


@torch.no_grad()
def sort_by_process(product: nn.Linear, heads: list[int], head_size: int, parts: int) -> None:
    """Put the rows of a fused product so that each process's queries, keys and values follow each other."""

    def sorted_rows(rows: Tensor) -> Tensor:
        q, k, v = (each.chunk(parts) for each in rows.split([number * head_size for number in heads]))
        return torch.cat([rows for of_process in zip(q, k, v, strict=True) for rows in of_process])

    product.weight.copy_(sorted_rows(product.weight))
    product.bias.copy_(sorted_rows(product.bias))
