from dataclasses import replace

import pytest
import torch

from coview.capture.judgement.causes import likely_cause
from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras

NAMES = ("north", "east", "south", "west")
NOISE = DetectorNoise(sigma=4.0, outlier_rate=0.02, missing_rate=0.02, swap_rate=0.0)
SIZE = torch.tensor([1000.0, 1000.0])


def rig():
    cameras = ring_cameras(4, height=2.2, start_angle=0.3)
    # no two alike, or an exchange may fit another mistake as well
    moved = cameras.cam_from_world + 0.0
    moved[:, 2, 3] += torch.tensor([0.0, 0.6, -0.5, 1.2])
    return replace(cameras, cam_from_world=moved)


def take(frames: int = 200):
    cameras = rig()
    pixels, weights = detect(random_motion(frames, seed=3), cameras, NOISE, 3)
    return cameras.to(torch.float64), pixels.double(), weights.double()


def with_pose(cameras, change, views):
    pose = cameras.cam_from_world.clone()
    for view in views:
        rotation, translation = change(pose[view, :, :3].clone(), pose[view, :, 3].clone())
        pose[view] = torch.cat([rotation, translation[:, None]], dim=1)
    return replace(cameras, cam_from_world=pose)


def reversed_axes(rotation, translation, signs):
    return rotation.new_tensor(signs)[:, None] * rotation, rotation.new_tensor(signs) * translation


POSES = {
    "rotation is transposed": lambda r, t: (r.T, t),
    "pose is inverted": lambda r, t: (r.T, -r.T @ t),
    "translation is the camera's centre": lambda r, t: (r, -r.T @ t),
    "OpenCV's axes instead of OpenGL's": lambda r, t: reversed_axes(r, t, [1, -1, -1]),
    "half turn": lambda r, t: reversed_axes(r, t, [-1, -1, 1]),
}


@pytest.mark.parametrize("words", POSES)
def test_a_mistake_in_all_cameras_is_named(words: str):
    cameras, pixels, weights = take()
    wrong = with_pose(cameras, POSES[words], range(4))
    found = likely_cause(wrong, pixels, weights, 1, NAMES)
    assert words in found
    assert not any(name in found for name in NAMES)


@pytest.mark.parametrize("words", POSES)
def test_a_mistake_in_one_camera_is_named_with_it(words: str):
    cameras, pixels, weights = take()
    wrong = with_pose(cameras, POSES[words], [2])
    found = likely_cause(wrong, pixels, weights, 1, NAMES, (2,))
    assert words in found
    assert "south" in found


@pytest.mark.parametrize("pair", [(0, 1), (1, 3)])
def test_exchanged_cameras_are_named(pair: tuple[int, int]):
    cameras, pixels, weights = take()
    order = [0, 1, 2, 3]
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    found = likely_cause(cameras[torch.tensor(order)], pixels, weights, 1, NAMES)
    assert found == f"{NAMES[pair[0]]} and {NAMES[pair[1]]} fit if exchanged"


PIXELS = {
    "multiplied by the picture's size": lambda p: p / SIZE,
    "mirrored left to right": lambda p: torch.stack([999 - p[..., 0], p[..., 1]], dim=-1),
    "counted from the picture's lower edge": lambda p: torch.stack([p[..., 0], 999 - p[..., 1]], dim=-1),
    "taken as (y, x)": lambda p: p.flip(-1),
    "multiplied by 2 ": lambda p: p / 2,
}


@pytest.mark.parametrize("words", PIXELS)
def test_a_mistake_in_all_pixels_is_named(words: str):
    cameras, pixels, weights = take()
    assert words in likely_cause(cameras, PIXELS[words](pixels), weights, 1, NAMES)


@pytest.mark.parametrize("by", [12, -25])
def test_a_camera_that_is_out_of_step_is_named_with_the_frames(by: int):
    cameras, pixels, weights = take(240)
    pixels[:, 1], weights[:, 1] = pixels[:, 1].roll(by, 0), weights[:, 1].roll(by, 0)
    found = likely_cause(cameras, pixels, weights, 1, NAMES, (1,))
    assert (
        f"east fits if it is not in step: it began {abs(by)} frames {'earlier' if by > 0 else 'later'}"
        in found
    )


def test_another_rig_has_no_cause():
    _, pixels, weights = take()
    other = ring_cameras(4, radius=3.0, height=0.5, start_angle=2.0, focal=900.0).to(torch.float64)
    assert likely_cause(other[torch.tensor([0, 2, 1, 3])], pixels, weights, 1, NAMES) == ""
