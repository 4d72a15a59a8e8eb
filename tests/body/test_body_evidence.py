import math

import pytest
import torch

from coview.body.body_evidence import body_evidence
from coview.body.procedural_motion import random_motion
from coview.skeletons import H36M_17


def person(seed: int = 0, stature: float = 1.75):
    return random_motion(150, seed=seed, stature=stature).double()


@pytest.mark.parametrize("stature", [1.55, 1.9])
def test_the_stature_is_that_of_the_body(stature: float):
    assert body_evidence(person(stature=stature), H36M_17).stature == pytest.approx(stature, rel=0.06)


def test_limbs_of_a_body_are_constant_and_even():
    found = body_evidence(person(), H36M_17)
    assert found.limb_spread < 1e-3
    assert found.asymmetry < 0.02
    stretched = person() * (1 + 0.3 * torch.rand(150, 1, 1, generator=torch.Generator().manual_seed(0)))
    assert body_evidence(stretched, H36M_17).limb_spread > 0.08


def test_people_stand_along_z():
    up = body_evidence(person(), H36M_17).up
    assert float(up[2]) > 0.9
    lying = person() @ torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], dtype=torch.float64)
    assert abs(float(body_evidence(lying, H36M_17).up[1])) > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_a_mirrored_body_is_told_from_one_that_is_not(seed: int):
    points = person(seed)
    mirrored = points * torch.tensor([1.0, -1.0, 1.0])
    exchanged = points[:, list(H36M_17.mirror)]
    assert body_evidence(points, H36M_17).mirrored < 0.2
    assert body_evidence(mirrored, H36M_17).mirrored > 0.8
    assert body_evidence(exchanged, H36M_17).mirrored > 0.8


def test_nothing_is_said_of_a_body_that_nobody_saw():
    found = body_evidence(torch.full((50, 17, 3), torch.nan), H36M_17)
    assert all(
        math.isnan(value) for value in (found.stature, found.limb_spread, found.asymmetry, found.mirrored)
    )
