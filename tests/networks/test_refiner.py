import json

import pytest
import torch
from torch import nn

from coview.networks.refiner import Refiner, Stage


def by_the_book(net: Refiner, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The slow twin in evaluation mode, straight from the weights, as the specification writes it."""
    state = net.state_dict()

    def line(name: str, value: torch.Tensor) -> torch.Tensor:
        return value @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, value: torch.Tensor) -> torch.Tensor:
        spread = (state[f"{name}.running_var"] + 1e-5).sqrt()
        scaled = (value - state[f"{name}.running_mean"]) / spread
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def rectified(value: torch.Tensor) -> torch.Tensor:
        return torch.where(value > 0, value, value * (0.01 if net.leaky else 0.0))

    def block(number: int, value: torch.Tensor) -> torch.Tensor:
        for a, b in ((1, 2), (3, 4)):
            inner = value
            for layer in (a, b):
                where = f"linear_stages.{number}."
                inner = rectified(norm(f"{where}batch_norm{layer}", line(f"{where}w{layer}", inner)))
            value = value + inner
        return value

    h = rectified(norm("batch_norm1", line("w1", x)))
    s1 = block(0, h)
    p1 = line("w2", s1)
    y = rectified(norm("batch_norm3", line("w3", p1)))
    return p1, line("w4", h + block(1, s1 + y + h))


def test_names_shapes_and_count_are_those_of_the_released_file(shared_data):
    listed = json.loads((shared_data.parent / "reference" / "keys_ep_refiner.json").read_text())
    with torch.device("meta"):
        net = Refiner(45)
    assert {name: list(tensor.shape) for name, tensor in net.state_dict().items()} == listed
    assert len(listed) == 74
    assert sum(parameter.numel() for parameter in net.parameters()) == 8_603_738


@pytest.mark.parametrize("leaky", [False, True])
def test_it_computes_what_the_specification_writes(leaky):
    torch.manual_seed(0)
    net = Refiner(6, 16, leaky=leaky).double()
    for _ in range(5):
        net(torch.randn(32, 6).double())  # running statistics that are not 0 and 1
    net.eval()
    x = torch.randn(9, 6).double()
    for found, expected in zip(net(x), by_the_book(net, x), strict=True):
        torch.testing.assert_close(found, expected)


def test_leaky_rectifiers_make_a_difference():
    torch.manual_seed(0)
    plain, leaky = Refiner(6, 16).eval(), Refiner(6, 16, leaky=True).eval()
    leaky.load_state_dict(plain.state_dict())
    x = torch.randn(4, 6)
    assert not torch.allclose(plain(x)[1], leaky(x)[1])


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    net, x = Refiner(6, 32), torch.randn(8, 6)
    assert not torch.equal(net(x)[1], net(x)[1])
    net.eval()
    assert torch.equal(net(x)[1], net(x)[1])
    still = Refiner(6, 32, dropout=0.0)
    assert torch.equal(still(x)[1], still(x)[1])


def test_a_stage_without_weights_is_the_identity():
    stage = Stage(4, 0.5, False).eval()
    for parameter in stage.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(3, 4)
    torch.testing.assert_close(stage(x), x)


def test_gradients_are_right():
    torch.manual_seed(1)
    net = Refiner(3, 5, leaky=True).double().eval()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, x)


def test_weights_begin_as_kaiming_says():
    torch.manual_seed(0)
    weight = Refiner(45).w1.weight
    assert weight.std().item() == pytest.approx((2 / 45) ** 0.5, rel=0.02)
