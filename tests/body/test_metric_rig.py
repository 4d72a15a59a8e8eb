import math
from dataclasses import replace

import pytest
import torch

from coview.body.metric_rig import cameras_from_people, person_size, upright_cameras
from coview.body.stature_scale import assumed_scale
from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.alignment import similarity_alignment
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.rotations import rotation_angle
from coview.geometry.triangulation.triangulate import triangulate
from coview.skeletons import H36M_17

NAMES = ("a", "b", "c", "d")


def recording(frames: int = 60):
    cameras = ring_cameras(4, start_angle=0.3).to(torch.float64)
    joints = random_motion(frames, fps=5.0, seed=0, stature=1.7).double()
    pixels = cameras.project(joints[:, None])
    return cameras, joints, pixels, torch.ones(pixels.shape[:-1]).double()


def test_the_world_is_metric_and_upright_and_right_handed():
    cameras, joints, pixels, weights = recording()
    placed = cameras_from_people(
        replace(cameras, cam_from_world=torch.full((4, 3, 4), torch.nan).double()),  # only the lenses count
        pixels,
        weights,
        H36M_17,
        names=NAMES,
        threshold=8.0,
        seed=0,
    )
    relative = [each.rotation[1:] @ each.rotation[:1].mT for each in (placed.cameras, cameras)]
    assert rotation_angle(*relative).max().rad2deg() < 1e-3
    points = triangulate(placed.cameras, pixels, weights)
    moved = similarity_alignment(points.flatten(0, 1), joints.flatten(0, 1))
    torch.testing.assert_close(moved.apply(points.flatten(0, 1)), joints.flatten(0, 1), atol=1e-5, rtol=0)
    assert float(moved.scale) == pytest.approx(1, abs=0.08)
    assert float(moved.rotation[2, 2]) > math.cos(math.radians(2))
    assert "ASSUMED stature 1.7 m" in placed.facts["scale"]
    assert "hips above feet" in placed.facts["gravity"]


def test_what_does_not_move_says_nothing():
    cameras, _, pixels, weights = recording(3)
    weights[:, 2] = 0
    with pytest.raises(NotDeterminedError, match="'c'"):
        cameras_from_people(cameras, pixels, weights, H36M_17, names=NAMES, threshold=8.0, seed=0)


@pytest.mark.parametrize("unit", [0.01, 1.0, 30.0])
def test_the_unit_of_the_first_world_does_not_matter(unit):
    cameras, joints, _, _ = recording()
    small = cameras.moved(torch.eye(3, 4).double(), scale=unit)
    found, upright = upright_cameras(small, joints / unit, assumed_scale(joints / unit, H36M_17), H36M_17)
    straight, _ = upright_cameras(cameras, joints, assumed_scale(joints, H36M_17), H36M_17)
    torch.testing.assert_close(found.cam_from_world, straight.cam_from_world, atol=1e-6, rtol=0)
    assert upright.sigma < 0.1


def test_size_is_that_of_the_box_around_trusted_joints():
    pixels = torch.zeros(2, 1, 4, 2)
    pixels[:, :, 1] = torch.tensor([30.0, 40.0])
    pixels[:, :, 2] = 1e4  # not seen
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0]).expand(2, 1, 4)
    assert person_size(pixels, weights) == pytest.approx(50)
    assert math.isnan(person_size(pixels, 0 * weights))
