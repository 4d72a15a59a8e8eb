from dataclasses import replace

import pytest
import torch

from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras
from coview.geometry.epipolar.relative_pose import fundamental_from_projections, sampson_distance
from coview.geometry.rotations import rotation_from_axis_angle
from coview.geometry.triangulation.pair_agreement import (
    pair_agreement,
    pairs_of,
    relative_distances,
    view_sizes,
)

NOISE = DetectorNoise(sigma=4.0, outlier_rate=0.02, missing_rate=0.02, swap_rate=0.0)


def take(views: int = 4, frames: int = 200, seed: int = 0):
    cameras = ring_cameras(views).to(torch.float64)
    pixels, weights = detect(random_motion(frames, seed=seed), ring_cameras(views), NOISE, seed)
    return cameras, pixels.double(), weights.double()


def turned(cameras, view: int, degrees: float):
    pose = cameras.cam_from_world.clone()
    axis = torch.tensor([0.3, 0.8, 0.5], dtype=torch.float64)
    pose[view] = rotation_from_axis_angle(axis / axis.norm() * degrees * torch.pi / 180) @ pose[view]
    return replace(cameras, cam_from_world=pose)


def test_the_distance_of_a_pair_is_its_noise_over_the_persons_size():
    cameras, pixels, weights = take()
    found = relative_distances(cameras, pixels, weights)
    sizes = view_sizes(pixels, weights)
    matrix = fundamental_from_projections(*cameras.pixels_from_world[[1, 3]])
    wanted = sampson_distance(matrix, pixels[:, 1], pixels[:, 3]) / ((sizes[1] + sizes[3]) / 2)
    pair = pairs_of(4).index((1, 3))
    assert torch.allclose(found[pair].nan_to_num(-1.0), wanted.nan_to_num(-1.0))
    # the median of |N(0, sigma)|; per joint sigma differs, which makes the median smaller
    assert float(found.nanmedian()) == pytest.approx(0.67 * 4 / float(sizes.mean()), rel=0.25)


def test_an_intact_rig_is_used_whole():
    found = pair_agreement(*take())
    assert found.left_out == ()
    assert bool(found.usable.all())
    assert found.level < 0.015


@pytest.mark.parametrize("view", range(4))
@pytest.mark.parametrize("degrees", [5.0, 40.0])
def test_one_wrong_camera_of_four_is_left_out(view: int, degrees: float):
    cameras, pixels, weights = take()
    found = pair_agreement(turned(cameras, view, degrees), pixels, weights)
    assert [(one.view, one.frames) for one in found.left_out] == [(view, (0, 200))]
    assert not bool(found.usable[:, view].any())
    assert found.level < 0.015


def test_one_of_three_is_found_too_and_two_of_five():
    cameras, pixels, weights = take(3)
    assert [one.view for one in pair_agreement(turned(cameras, 1, 15.0), pixels, weights).left_out] == [1]
    cameras, pixels, weights = take(5)
    two = turned(turned(cameras, 1, 25.0), 3, 15.0)
    assert [one.view for one in pair_agreement(two, pixels, weights).left_out] == [1, 3]


def test_where_all_are_wrong_nobody_is_blamed():
    cameras, pixels, weights = take()
    found = pair_agreement(cameras[torch.tensor([0, 2, 1, 3])], pixels, weights)
    assert found.left_out == ()
    assert found.level > 0.04  # from which on cameras are refused


@pytest.mark.parametrize(("at", "view"), [(60, 0), (150, 2)])
def test_a_camera_that_is_moved_is_left_out_from_that_frame_on(at: int, view: int):
    cameras, pixels, weights = take()
    pixels[at:, view] += torch.tensor([90.0, 60.0])
    (one,) = pair_agreement(cameras, pixels, weights).left_out
    assert one.view == view
    assert one.frames[1] == 200
    assert abs(one.frames[0] - at) <= 5


def test_people_are_measured_each_in_their_own_size():
    cameras, pixels, weights = take()
    other = random_motion(200, seed=5) + torch.tensor([0.8, 0.0, 0.0])
    more, seen = detect(other, ring_cameras(4), NOISE, 5)
    both = torch.cat([pixels, more.double()], dim=2), torch.cat([weights, seen.double()], dim=2)
    apart = relative_distances(cameras, *both, people=2)
    assert torch.allclose(
        apart[..., :17].nan_to_num(), relative_distances(cameras, pixels, weights).nan_to_num()
    )


def test_nobody_in_view_is_no_agreement():
    cameras, pixels, weights = take(frames=40)
    found = pair_agreement(cameras, pixels, 0 * weights)
    assert found.level != found.level
    assert found.left_out == ()
