import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.motion.forward_kinematics import (
    chained_positions,
    global_rotations,
    radians,
    rotation_from_euler,
)

ANGLES = st.lists(st.floats(-7.0, 7.0), min_size=3, max_size=3)


def textbook(axis: str, angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return torch.tensor(rows[axis], dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(ANGLES, st.permutations("xyz"))
def test_turns_are_the_product_in_the_order_written(angles, axes):
    expected = torch.eye(3, dtype=torch.float64)
    for axis, angle in zip(axes, angles, strict=True):
        expected = expected @ textbook(axis, angle)
    found = rotation_from_euler("".join(axes), torch.tensor(angles, dtype=torch.float64))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_no_turns_are_the_identity_for_every_frame():
    assert torch.equal(rotation_from_euler("", torch.zeros(4, 0)), torch.eye(3).expand(4, 3, 3))


def test_a_chain_by_hand():
    # a quarter turn about z at the root carries the child's step from x to y, and adds to the child's own
    quarter = rotation_from_euler("z", radians(torch.tensor([90.0], dtype=torch.float64)))
    world = global_rotations((-1, 0), quarter.expand(1, 2, 3, 3))
    torch.testing.assert_close(world[0, 1], textbook("z", math.pi), atol=1e-12, rtol=0)
    steps = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]])
    assert chained_positions((-1, 0), steps)[0, 1].tolist() == [1.0, 2.0, 0.0]


def test_gradient_reaches_the_angles():
    angles = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: rotation_from_euler("zxy", a), angles)


def test_a_child_before_its_parent_is_our_mistake():
    with pytest.raises(AssertionError, match="a child before its parent"):
        global_rotations((1, -1), torch.eye(3).expand(1, 2, 3, 3))
