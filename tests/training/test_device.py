import pytest
import torch

from coview.training.device import check_device


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_these_are_everywhere(no_gpu, name):
    check_device(name)


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
