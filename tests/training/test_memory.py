from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from coview.data.base import InMemory
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.shared.base import Method, MethodConfig, WorldPose
from coview.networks.normalisation import BatchNorm2d
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.memory import (
    MemoryEstimate,
    TooLarge,
    _Alive,
    advice,
    estimate,
    explained,
    fits_beside,
    free_memory,
    held_bytes,
)
from coview.training.recipe import Recipe

CPU = torch.device("cpu")


@dataclass(frozen=True)
class PlainConfig(MethodConfig):
    size: int = 16
    checkpointing: bool = False

    def build(self, skeleton):
        return Plain()


class Plain(Method[WorldPose]):
    """One convolution whose answer is squared; draws a number as it goes."""

    inputs = frozenset({"images"})

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), BatchNorm2d(8))
        self.frozen = nn.Parameter(torch.zeros(5), requires_grad=False)

    def forward(self, batch: MultiView) -> WorldPose:
        answer = self.network(batch.images.flatten(0, -4)) * torch.rand(1)
        return WorldPose(joints3d=answer.square().mean().expand(len(batch.images), 17, 3))

    def losses(self, predicted, batch):
        return {"mean": predicted.joints3d.mean()}


RECIPE = Recipe(method=PlainConfig(), data=SyntheticConfig(), steps=1, batch_size=12, device="cpu")


def pictures(count: int = 20) -> InMemory:
    return InMemory(MultiView(H36M_17, images=torch.randint(255, (count, 4, 3, 16, 16), dtype=torch.uint8)))


def expected(**changes) -> MemoryEstimate:
    given = {
        "weights": 1,
        "gradients": 1,
        "optimiser": 2,
        "activations": 10,
        "instants": 12,
        "data": 6,
        "free": 1000,
    }
    return MemoryEstimate(**{**given, **changes, "device": "cpu"})


# --- counting ----------------------------------------------------------------------------------------


def test_only_tensors_that_are_alive_count_and_views_do_not():
    given = torch.zeros(1000)
    with _Alive() as alive:
        made = given + 1  # 4000 bytes
        seen = made.view(10, 100)
        seen.add_(1)
        assert alive.bytes == 4000
        other = made.double()  # 8000 more
        del made, seen
        assert alive.bytes == 8000
        del other
    assert alive.bytes == 0
    assert alive.peak == 12000


def test_an_estimate_counts_weights_gradients_moments_activations_and_data():
    method = Plain()
    found = estimate(method, RECIPE, pictures(), CPU)
    assert found.gradients == 4 * (3 * 8 * 9 + 16)
    assert found.optimiser == 2 * found.gradients
    assert (
        found.weights == found.gradients + 4 * 5 + 4 * 16 + 8
    )  # frozen, running statistics, and their count
    assert found.data == 20 * 4 * 3 * 16 * 16
    assert found.instants == 12
    # float images, the convolution's answer and what follows of the same size: between three and eight of these
    layer = 4 * 8 * 16 * 16 * 4
    assert 3 * layer < found.activations < 8 * layer
    assert estimate(method, replace(RECIPE, accumulate=4), pictures(), CPU).instants == 3


def test_estimating_leaves_no_trace():
    method, data = Plain(), pictures()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    torch.manual_seed(1)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    estimate(method.eval(), RECIPE, data, CPU)
    assert torch.equal(torch.rand(1), drawn)
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())
    assert not method.training


def test_what_is_free_is_known_here_and_data_is_weighed_against_it():
    free = free_memory(CPU)
    assert free is None or 0 < free < 1e15
    assert held_bytes(pictures()) == 20 * 4 * 3 * 16 * 16
    assert fits_beside(pictures(), CPU)
    assert not fits_beside(pictures(), torch.device("mps")) or free_memory(torch.device("mps"))


@pytest.fixture(autouse=True)
def no_mps(monkeypatch):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 1000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 900)


# --- saying ------------------------------------------------------------------------------------------


def test_the_line_says_what_needs_how_much():
    found = expected(activations=10**9, weights=5 * 10**7, free=2 * 10**10)
    assert found.line() == (
        "memory: about 12 GB needed (weights 0.05, gradients 0.00, Adam 0.00, activations of 12 instants 12, "
        "data 0.00), 20 GB free on cpu"
    )
    assert found.fits
    assert not expected(free=100).fits
    assert expected(free=None).fits


def test_advice_begins_with_what_changes_nothing_and_is_enough():
    # 130 bytes are needed; of 80, 72 may be used: 10 for weights and data, 6 instants of 10
    first, *others = advice(RECIPE, expected(free=80))
    assert first == "--accumulate 2 (the same batches, worked through in 2 parts)"
    assert any("--method.checkpointing (" in words for words in others)
    assert any("smaller --method.size than 16" in words for words in others)
    assert not any("bf16" in words for words in others)  # not on this processor
    assert "--accumulate 6" in advice(RECIPE, expected(free=34))[0]
    assert "--accumulate" not in advice(RECIPE, expected(free=12))[0]  # not even one instant
    known = replace(RECIPE, method=PlainConfig(checkpointing=True))
    assert not any("checkpointing" in words for words in advice(known, expected(free=12)))


def test_full_memory_is_explained_and_other_errors_are_not():
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):
        with (
            pytest.raises(TooLarge, match=r"the memory is full after all \(memory: .*--accumulate 2"),
            explained(RECIPE, expected(free=80)),
        ):
            raise error
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explained(RECIPE, None):
        raise RuntimeError("shapes differ")
