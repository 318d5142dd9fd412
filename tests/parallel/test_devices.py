"""Models on GPUs, in several processes. Where there is no GPU: what torch is told, and that tensors on CPUs travel."""

import socket
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from minigpt.commands import compare
from minigpt.parallel import processes, together
from minigpt.parallel.processes import agree, own_device

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")


@pytest.fixture
def begun(monkeypatch):
    """What torch is told to begin with, by a process that is started as the third of a machine. It is the only one of
    its group, where torch's own stand-in for a library of GPUs has the place of NCCL."""
    pytest.importorskip("torch.testing._internal.distributed.fake_pg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "WORLD_SIZE": 1,
        "RANK": 0,
        "LOCAL_RANK": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }.items():
        monkeypatch.setenv(name, str(value))
    told, init = {}, dist.init_process_group

    def begin(backend, **how):
        told["backend"] = backend
        init(backend.replace("nccl", "fake"), **how)

    monkeypatch.setattr(dist, "init_process_group", begin)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", partial(told.__setitem__, "device"))
    return told


@pytest.mark.parametrize("device", ["cuda", "cuda:2"])
def test_each_process_has_a_gpu_of_its_own_and_a_way_for_tensors_on_cpus(begun, device):
    with together(device) as group:
        agree(group, weights=torch.nn.Linear(2, 3), arguments=["compare"])
    assert begun == {"backend": "cpu:gloo,cuda:nccl", "device": "cuda:2"}


def test_compare_loads_the_model_on_that_gpu(begun, monkeypatch):
    def open_model(options):
        raise ValueError(f"{options.parallel} on {options.device}")

    monkeypatch.setattr(compare, "open_model", open_model)
    for way, device in (("heads", "cuda:2"), (None, "cuda")):
        with pytest.raises(ValueError, match=f"{way} on {device}$"):
            compare.run(SimpleNamespace(cache=None, device="cuda", parallel=way))


def test_without_a_gpu_none_is_asked_for(begun):
    with together("cpu") as group:
        agree(group, arguments=["compare"])
    assert begun == {"backend": "gloo"}


def test_by_nccl_alone_no_tensor_on_a_cpu_would_travel(begun, monkeypatch):
    """As it was: so the first test would notice."""
    monkeypatch.setattr(processes, "backend_for", lambda device: "cuda:nccl")
    with (
        together("cuda") as group,
        pytest.raises(RuntimeError, match="No backend type associated with device type cpu"),
    ):
        agree(group, arguments=["compare"])


def test_where_there_is_no_nccl_a_gpu_is_refused(begun, monkeypatch):
    monkeypatch.setattr(dist, "is_nccl_available", lambda: False)
    with pytest.raises(ValueError, match="processes on cuda talk by NCCL, which this torch lacks"), together("cuda"):
        pass
    assert not begun


def test_a_gpu_that_is_named_stays(begun):
    assert [own_device(each) for each in ("cpu", "cuda", "cuda:0")] == ["cpu", "cuda:2", "cuda:0"]
