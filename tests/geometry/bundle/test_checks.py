"""Every refusal names the camera or point and says what to do."""

import pytest
import torch

from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.bundle.bundle_adjustment import adjust

VIEWS, COUNT = 4, 12


def given() -> dict[str, object]:
    cameras = ring_cameras(VIEWS)
    points = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(0))
    return {
        "cameras": cameras,
        "points": points,
        "pixels": cameras.project(points),
        "weights": torch.ones(VIEWS, COUNT),
    }


def with_pose(cameras: Cameras, pose: torch.Tensor) -> Cameras:
    return Cameras(cameras.intrinsics, pose, cameras.size, cameras.distortion, cameras.fisheye)


def one_view(case):
    case.update(cameras=case["cameras"][:1], pixels=case["pixels"][:1], weights=case["weights"][:1])


def no_iterations(case):
    case.update(iterations=0)


def negative_weight(case):
    case["weights"][2, 5] = -0.5


def seen_nowhere(case):
    case["pixels"][1, 7] = torch.nan


def lost_camera(case):
    pose = case["cameras"].cam_from_world.clone()
    pose[3, 0, 3] = torch.nan
    case["cameras"] = with_pose(case["cameras"], pose)


def unplaced_point(case):
    case["points"][4] = torch.nan


def blind_camera(case):
    case["weights"][3, 5:] = 0


def split_rig(case):
    case["weights"][:2, 6:] = 0
    case["weights"][2:, :6] = 0


def one_place(case):
    pose = case["cameras"].cam_from_world.clone()
    pose[..., 3] = 0
    case["cameras"] = with_pose(case["cameras"], pose)


MESSAGES = {
    one_view: "adjust needs 2 or more views, got 1: one view has no depth.",
    no_iterations: "adjust: iterations must be at least 1, got 0.",
    negative_weight: "the weight of camera 2, point 5 is -0.5; weights are finite and not negative.",
    seen_nowhere: "1 pixels are not finite although their weight is positive; the first is camera 1",
    lost_camera: "the start of camera 3 is not finite.",
    unplaced_point: "1 points seen by two or more cameras have no finite start; the first is point 4.",
    blind_camera: "camera 3 has 5 observations of points that another camera sees too, and needs at least 6",
    split_rig: "cameras [2, 3] share no points with camera 0, not even through others",
    one_place: "all cameras start at one place.",
}


@pytest.mark.parametrize("spoil", MESSAGES, ids=lambda spoil: spoil.__name__)
def test_bad_input_is_named_and_explained(spoil):
    case = given()
    spoil(case)
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message is compared below
        adjust(**case)
    assert MESSAGES[spoil] in str(raised.value)


def test_good_input_is_not_refused():
    assert adjust(**given()).converged
