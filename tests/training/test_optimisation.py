import pytest
import torch
from torch import nn

from coview.methods.shared.base import CameraPoses, Method
from coview.training.optimisation import Guard, parameter_groups


class Toy(Method[CameraPoses]):
    inputs = frozenset({"rig"})

    def __init__(self, **rates: float) -> None:
        super().__init__()
        self.rates = rates
        self.trunk, self.head = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, batch):
        raise AssertionError

    def losses(self, predicted, batch):
        raise AssertionError


def test_without_rates_there_is_one_group_in_the_order_of_the_parameters():
    method = Toy()
    (group,) = parameter_groups(method)
    assert group["factor"] == 1.0
    assert all(a is b for a, b in zip(group["params"], method.parameters(), strict=True))


def test_rates_go_by_module_and_frozen_weights_are_left_out():
    method = Toy(head=10.0)
    method.trunk.bias.requires_grad_(False)
    found = {group["factor"]: [id(p) for p in group["params"]] for group in parameter_groups(method)}
    assert found == {1.0: [id(method.trunk.weight)], 10.0: [id(method.head.weight), id(method.head.bias)]}


def test_the_innermost_rate_counts():
    method = Toy(**{"trunk": 0.1, "trunk.bias": 5.0})
    found = {group["factor"]: [id(p) for p in group["params"]] for group in parameter_groups(method)}
    assert found[0.1] == [id(method.trunk.weight)]
    assert found[5.0] == [id(method.trunk.bias)]


def test_a_rate_for_nothing_and_nothing_to_learn_are_refused():
    with pytest.raises(
        ValueError, match=r"Toy.rates names hed, which it does not have. Its modules: head, trunk"
    ):
        parameter_groups(Toy(hed=2.0))
    with pytest.raises(ValueError, match="Toy has nothing to learn"):
        parameter_groups(Toy().requires_grad_(False))


# --- the guard ---------------------------------------------------------------------------------------


def optimiser(*values: float) -> tuple[nn.Parameter, torch.optim.Adam]:
    weight = nn.Parameter(torch.zeros(len(values)))
    weight.grad = torch.tensor(values)
    return weight, torch.optim.Adam([weight], lr=0.1, fused=True)


def test_finite_gradients_make_the_step_they_would_have_made():
    guarded, a = optimiser(1.0, -3.0)
    plain, b = optimiser(1.0, -3.0)
    guard = Guard()
    for _ in range(3):
        guard.check(a)
        a.step()
        b.step()
    assert torch.equal(guarded, plain)
    assert guard.counts() == (0, 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_without_finite_gradients_leaves_weights_and_moments_alone(bad):
    weight, adam = optimiser(1.0, 2.0)
    guard = Guard()
    guard.check(adam)
    adam.step()
    before = weight.detach().clone(), {n: t.clone() for n, t in adam.state[weight].items()}
    weight.grad = torch.tensor([bad, 1.0])
    guard.check(adam)
    adam.step()
    assert torch.equal(weight, before[0])
    assert all(torch.equal(adam.state[weight][name], held) for name, held in before[1].items())
    weight.grad = torch.tensor([1.0, 1.0])
    guard.check(adam)
    adam.step()
    assert not torch.equal(weight, before[0])
    assert guard.counts() == (1, 1)


def test_the_longest_row_is_counted():
    weight, adam = optimiser(0.0)
    guard = Guard()
    for value in (torch.nan, torch.nan, 1.0, torch.nan):
        weight.grad = torch.tensor([value])
        guard.check(adam)
    assert guard.counts() == (3, 2)


def test_gradients_are_shortened_together():
    weight, adam = optimiser(3.0, 4.0)
    Guard().check(adam, clip_norm=1.0)
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]), rtol=1e-5, atol=0)  # 3-4-5 by hand
    Guard().check(adam, clip_norm=10.0)
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]), rtol=1e-5, atol=0)


def test_a_step_without_any_gradient_is_no_mistake():
    weight, adam = optimiser(1.0)
    weight.grad = None
    guard = Guard()
    guard.check(adam, clip_norm=1.0)
    assert guard.counts() == (0, 0)
