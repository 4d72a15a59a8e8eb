import pytest
import torch

from coview.training import device
from coview.training.device import check_device


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_these_are_everywhere(no_gpu, name):
    check_device(name)
    assert device.resolved(name) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_what_is_not_there_is_refused(no_gpu, name):
    with pytest.raises(ValueError, match=f"'{name}' is not on this machine. Choose .* among: auto, cpu\\."):
        check_device(name)


@pytest.mark.parametrize("name", ["foo", "gpu", "cuda:0", ""])
def test_what_nobody_knows_is_refused(no_gpu, name):
    with pytest.raises(ValueError, match=f"device '{name}' is no device that coview knows"):
        check_device(name)


def test_a_gpu_that_is_there_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check_device("cuda")
    assert device.resolved("cuda").type == "cuda"


def test_a_device_is_resolved_to_what_is_here(monkeypatch):
    monkeypatch.setattr(device, "_has", lambda name: name in ("auto", "cpu"))
    assert [str(device.resolved(name)) for name in ("auto", "cpu", "cuda")] == ["cpu"] * 3
    monkeypatch.setattr(device, "_has", lambda name: name != "mps")
    assert [device.resolved(name).type for name in ("auto", "cpu", "cuda", "mps")] == [
        "cuda",
        "cpu",
        "cuda",
        "cuda",
    ]
