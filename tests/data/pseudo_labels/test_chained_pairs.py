import pytest
import torch

from coview.data.pseudo_labels.chained_pairs import cameras_from_pairs, neighbours, points_from_pairs
from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.alignment import similarity_alignment
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.rotations import rotation_angle
from coview.skeletons import H36M_17


def recording(views: int = 4, frames: int = 40):
    cameras = ring_cameras(views, start_angle=0.3).to(torch.float64)
    joints = random_motion(frames, fps=5.0, seed=0, stature=1.7).double()
    pixels = cameras.project(joints[:, None])
    return cameras, joints, pixels, torch.ones(pixels.shape[:-1]).double()


def test_each_view_has_the_next_for_a_neighbour():
    assert neighbours(2) == [(0, 1)]
    assert neighbours(3) == [(0, 1), (1, 2), (0, 2)]
    assert neighbours(4) == [(0, 1), (1, 2), (2, 3), (0, 3)]


@pytest.mark.parametrize("views", [2, 4])
def test_exact_sightings_give_cameras_and_points_back(views):
    cameras, joints, pixels, weights = recording(5)
    cameras, pixels, weights = cameras[:views], pixels[:, :views], weights[:, :views]
    names = tuple(f"view {view}" for view in range(views))
    placed = cameras_from_pairs(cameras, pixels, weights, H36M_17, names=names, threshold=4.0, seed=0)
    relative = [each.rotation[1:] @ each.rotation[:1].mT for each in (placed.cameras, cameras)]
    assert rotation_angle(*relative).max().rad2deg() < 0.01
    points = points_from_pairs(placed.cameras, pixels, weights)
    moved = similarity_alignment(points.flatten(0, 1), joints.flatten(0, 1))
    torch.testing.assert_close(moved.apply(points.flatten(0, 1)), joints.flatten(0, 1), atol=1e-3, rtol=0)
    assert float(moved.scale) == pytest.approx(1, abs=0.08)
    assert float(moved.rotation[2, 2]) > 0.99
    assert placed.facts["pairs"] == [list(pair) for pair in neighbours(views)]


def test_one_wrong_view_is_outvoted_and_an_absent_one_missed_by_nobody():
    cameras, joints, pixels, weights = recording()
    pixels[:, 2, 5] += 80.0
    weights[:, 1, 7] = 0
    points = points_from_pairs(cameras, pixels, weights)
    error = (points - joints).norm(dim=-1)
    assert float(error[:, 5].median()) < 0.01
    assert float(error[:, 7].max()) < 1e-6


def test_what_no_pair_saw_is_unknown():
    cameras, _, pixels, weights = recording()
    weights[:, [1, 3], 4] = 0  # views 0 and 2 are no neighbours
    points = points_from_pairs(cameras, pixels, weights)
    assert points[:, 4].isnan().all()
    assert points[:, 5].isfinite().all()


def test_swapped_axes_are_refused():
    cameras, _, pixels, weights = recording()
    pixels[:, 2] = pixels[:, 2].flip(-1)
    with pytest.raises(NotDeterminedError, match="view 2"):
        cameras_from_pairs(
            cameras,
            pixels,
            weights,
            H36M_17,
            names=tuple(f"view {view}" for view in range(4)),
            threshold=2.0,
            seed=0,
        )
