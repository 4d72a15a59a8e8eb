import pytest
import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.alignment import similarity_alignment
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.rotations import rotation_angle
from coview.geometry.self_calibration import self_calibrate

NAMES = ("left", "right", "front", "back")


def recording(views: int = 4, frames: int = 60, noise: float = 0.0, seed: int = 0):
    """Cameras with known lenses, what they saw of a person, and full confidence."""
    cameras = ring_cameras(views, start_angle=0.3).to(torch.float64)
    joints = random_motion(frames, fps=5.0, seed=seed).double()
    pixels = cameras.project(joints[:, None])
    pixels = (
        pixels + noise * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed)).double()
    )
    return cameras, pixels, torch.ones(pixels.shape[:-1]).double(), joints


def normalised(cameras):
    """In the world of the first camera, the farthest at distance one."""
    pose = cameras.cam_from_world[0]
    first = torch.cat([pose[:, :3].mT, -pose[:, :3].mT @ pose[:, 3:]], dim=-1)
    return cameras.moved(first, scale=float((cameras.centres - cameras.centres[0]).norm(dim=-1).max()))


def errors(found, truth):
    """Worst relative rotation (degrees), worst centre (share of the rig's size)."""
    relative = [c.rotation[1:] @ c.rotation[:1].mT for c in (found, truth)]
    centres = [
        normalised(c).centres for c in (found, truth)
    ]  # a similarity of two cameras leaves one direction
    return rotation_angle(*relative).max().rad2deg(), (centres[0] - centres[1]).norm(dim=-1).max()


@pytest.mark.parametrize("views", [2, 3, 5])
def test_exact_sightings_give_the_cameras_back(views):
    cameras, pixels, weights, joints = recording(views)
    names = tuple(f"cam {view}" for view in range(views))
    found = self_calibrate(cameras, pixels, weights, names=names)
    rotation, centre = errors(found.cameras, cameras)
    assert rotation < 1e-3
    assert centre < 1e-5
    assert found.agreement.min() == 1
    # the points are the same ones, up to the similarity: never mirrored
    moved = similarity_alignment(found.points.flatten(0, 1), joints.flatten(0, 1))
    torch.testing.assert_close(
        moved.apply(found.points.flatten(0, 1)), joints.flatten(0, 1), atol=1e-4, rtol=0
    )


def test_the_world_is_the_first_camera_and_the_farthest_is_at_one():
    cameras, pixels, weights, _ = recording()
    found = self_calibrate(cameras, pixels, weights, names=NAMES).cameras
    torch.testing.assert_close(
        found.cam_from_world[0], torch.eye(3, 4, dtype=torch.float64), atol=1e-9, rtol=0
    )
    assert found.centres.norm(dim=-1).max() == pytest.approx(1)


def test_the_given_extrinsics_are_not_read():
    cameras, pixels, weights, _ = recording()
    nowhere = cameras.moved(torch.eye(3, 4, dtype=torch.float64), scale=1e3)
    a, b = (self_calibrate(each, pixels, weights, names=NAMES).cameras for each in (cameras, nowhere))
    torch.testing.assert_close(a.cam_from_world, b.cam_from_world)


def test_noise_outliers_and_gaps_are_survived():
    cameras, pixels, weights, _ = recording(noise=3.0, frames=100)
    generator = torch.Generator().manual_seed(1)
    wrong = torch.rand(weights.shape, generator=generator) < 0.05
    pixels = pixels + 80 * wrong[..., None] * torch.randn(pixels.shape, generator=generator).double()
    gone = torch.rand(weights.shape, generator=generator) < 0.3
    pixels, weights = pixels.masked_fill(gone[..., None], torch.nan), weights.masked_fill(gone, 0.0)
    rotation, centre = errors(self_calibrate(cameras, pixels, weights, names=NAMES).cameras, cameras)
    assert rotation < 0.5
    assert centre < 0.005


def test_stated_uncertainty_covers_the_error():
    """Centres in units of their standard deviation, over seeds: the mean square is near one per axis."""
    truth = normalised(recording()[0]).centres
    scores = []
    for seed in range(6):
        cameras, pixels, weights, _ = recording(frames=25, noise=3.0, seed=seed)
        found = self_calibrate(cameras, pixels, weights, names=NAMES)
        sigma = found.adjusted.centre_covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        scores.append(((found.cameras.centres - truth) / sigma)[1:].square())
    scored = torch.stack(scores)
    assert 0.4 < scored[scored.isfinite()].mean() < 2.5


def test_one_camera_is_refused():
    cameras, pixels, weights, _ = recording()
    with pytest.raises(NotDeterminedError, match=r"at least 2 cameras, got 1 \(left\)"):
        self_calibrate(cameras[:1], pixels[:, :1], weights[:, :1], names=("left",))


def test_a_camera_that_saw_nobody_is_named():
    cameras, pixels, weights, _ = recording()
    weights[:, 2] = 0
    with pytest.raises(NotDeterminedError, match=r"'front' cannot be placed: it shares fewer than 30 joints"):
        self_calibrate(cameras, pixels, weights, names=NAMES)


def test_a_camera_of_another_recording_is_named():
    cameras, pixels, weights, _ = recording()
    pixels[:, 3] = recording(seed=9)[1][torch.randperm(60, generator=torch.Generator().manual_seed(0)), 3]
    with pytest.raises(NotDeterminedError, match=r"'back' .*synchronised"):
        self_calibrate(cameras, pixels, weights, names=NAMES)


def test_two_groups_that_never_see_the_same_are_named():
    cameras, pixels, weights, _ = recording()
    weights[:30, :2], weights[30:, 2:] = 0, 0
    with pytest.raises(NotDeterminedError, match=r"groups that share no view of the person: front, back"):
        self_calibrate(cameras, pixels, weights, names=NAMES)


def test_cameras_side_by_side_are_refused():
    cameras, pixels, weights, joints = recording(2)
    beside = cameras[:1].moved(torch.tensor([[1.0, 0, 0, 0.02], [0, 1, 0, 0], [0, 0, 1, 0]]).double())
    pixels[:, 1] = beside.project(joints[:, None])[:, 0]
    with pytest.raises(NotDeterminedError, match=r"almost the same direction"):
        self_calibrate(cameras, pixels, weights, names=("left", "right"))
