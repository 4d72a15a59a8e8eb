import pytest
import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.alignment import similarity_alignment
from coview.geometry.epipolar.view_graph import average_over_pairs, place_cameras, relate_pairs
from coview.geometry.rotations import rotation_angle, rotation_from_axis_angle

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def seen():
    cameras = ring_cameras(4, start_angle=0.2).to(torch.float64)
    joints = random_motion(40, fps=5.0, seed=2).double()
    flat = cameras.normalise(cameras.project(joints[:, None]))
    weights = torch.ones(flat.shape[:-1]).double()
    return cameras, flat, weights, relate_pairs(flat, weights, 0.01, names=NAMES)


def test_every_pair_that_saw_enough_is_related(seen):
    cameras, _, _, pairs = seen
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for pair in pairs:
        relative = cameras.rotation[pair.second] @ cameras.rotation[pair.first].mT
        assert rotation_angle(pair.pose.rotation, relative) < 1e-6


def test_parallax_is_the_angle_at_the_person(seen):
    # neighbours on a ring of four stand a quarter turn apart, as seen from its middle
    _, _, _, pairs = seen
    neighbours = next(pair for pair in pairs if (pair.first, pair.second) == (0, 1))
    assert torch.tensor(neighbours.parallax).rad2deg() == pytest.approx(88, abs=8)


def test_cameras_are_placed_up_to_a_similarity(seen):
    cameras, flat, weights, pairs = seen
    placed = place_cameras(pairs, flat, weights, NAMES)
    centres = -(placed[:, :, :3].mT @ placed[:, :, 3:])[..., 0]
    moved = similarity_alignment(centres, cameras.centres).apply(centres)
    torch.testing.assert_close(moved, cameras.centres, atol=1e-5, rtol=0)


def test_one_wrong_pair_is_outvoted(seen):
    cameras, _, _, pairs = seen
    wrong = rotation_from_axis_angle(torch.tensor([0.0, 0.6, 0.0], dtype=torch.float64))
    bent = [
        type(pair)(
            pair.first,
            pair.second,
            type(pair.pose)(
                wrong @ pair.pose.rotation if (pair.first, pair.second) == (1, 2) else pair.pose.rotation,
                pair.pose.translation,
                pair.pose.inliers,
                pair.pose.in_front,
            ),
            pair.shared,
            pair.parallax,
        )
        for pair in pairs
    ]
    rotations = average_over_pairs(tuple(bent), 4, NAMES)
    truth = cameras.rotation @ cameras.rotation[:1].mT
    assert rotation_angle(rotations, truth).max().rad2deg() < 2
