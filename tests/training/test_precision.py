import pytest
import torch
from torch import nn

from coview.training import precision
from coview.training.precision import check_precision, networks_in

CPU = torch.device("cpu")


class Lifting(nn.Module):
    """A network, and arithmetic around it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.network(x)
        assert answer.dtype == torch.float32
        return answer @ answer.mT


@pytest.fixture
def method() -> Lifting:
    torch.manual_seed(0)
    return Lifting()


def test_only_the_network_is_rounded_and_only_while_it_learns(method):
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    exact = method(x)
    with networks_in("bf16", method, CPU):
        rounded = method(x)
        method.eval()
        assert torch.equal(method(x), exact)
        method.train()
    assert 1e-6 < (rounded - exact).abs().max() < 0.1
    answer = method.network(x).bfloat16().float()
    assert not torch.equal(rounded, (rounded.bfloat16()).float())  # the product after it was float32
    torch.testing.assert_close(rounded, answer @ answer.mT, rtol=0.05, atol=0.05)
    assert torch.equal(method(x), exact)


def test_gradients_and_names_are_those_of_single_precision(method):
    names = list(method.state_dict())
    with networks_in("bf16", method, CPU):
        assert list(method.state_dict()) == names
        method(torch.ones(2, 8)).sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in method.parameters())


def test_the_network_is_itself_again_after_an_error(method):
    with pytest.raises(RuntimeError), networks_in("bf16", method, CPU):
        method(torch.ones(2, 3))
    assert "forward" not in vars(method.network)


def test_nothing_happens_in_single_precision(method):
    with networks_in("32", method, CPU):
        assert "forward" not in vars(method.network)


def test_hardware_decides(monkeypatch):
    monkeypatch.setattr(precision, "_automatic", lambda: "cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "amx_bf16": True})
    check_precision("bf16", "auto")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    check_precision("32", "cpu")
    for device in ("auto", "cpu"):
        with pytest.raises(ValueError, match="this machine's cpu has no arithmetic for bfloat16"):
            check_precision("bf16", device)
    with pytest.raises(ValueError, match="this machine's mps"):
        check_precision("bf16", "mps")


def test_a_gpu_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: asked.append(options) or True)
    check_precision("bf16", "cuda:0")
    assert asked == [{"including_emulation": False}]
