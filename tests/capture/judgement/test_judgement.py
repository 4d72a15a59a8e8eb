from dataclasses import replace

import pytest
import torch

from coview.capture.judgement.judgement import Judgement, RefusedError, judge_cameras, refuse
from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras
from coview.skeletons import H36M_17

NAMES = ("a", "b", "c", "d")
NOISE = DetectorNoise(sigma=4.0, outlier_rate=0.02, missing_rate=0.02, swap_rate=0.005)


def take(views: int = 4, seed: int = 0, sigma: float = 4.0):
    cameras = ring_cameras(views, height=2.0, start_angle=0.2)
    pixels, weights = detect(random_motion(150, seed=seed), cameras, replace(NOISE, sigma=sigma), seed)
    return cameras.to(torch.float64), pixels.double(), weights.double()


def judged(cameras, pixels, weights, **options) -> Judgement:
    return judge_cameras(cameras, pixels, weights, H36M_17, NAMES[: len(cameras)], **options)


@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("sigma", [0.0, 4.0, 9.0])
def test_an_intact_recording_is_good(views: int, sigma: float):
    found = judged(*take(views, seed=views, sigma=sigma))
    assert found.words == "good"
    assert found.notes == ()
    refuse(found, "it", force=False)


def test_exchanged_cameras_are_refused_by_name():
    cameras, pixels, weights = take()
    found = judged(cameras[torch.tensor([0, 2, 1, 3])], pixels, weights)
    assert found.verdict == "refused"
    assert "b and c fit if exchanged" in found.words
    with pytest.raises(RefusedError, match=r"the file does not fit .* b and c fit if exchanged.*--force"):
        refuse(found, "the file", force=False)
    refuse(found, "the file", force=True)


def test_one_wrong_camera_is_left_out_and_named():
    cameras, pixels, weights = take()
    pose = cameras.cam_from_world.clone()
    pose[2, :, :3] = pose[2, :, :3].T.clone()
    found = judged(replace(cameras, cam_from_world=pose), pixels, weights)
    assert found.verdict == "poor"
    assert dict(found.left_out) == {"c": (0, 150)}
    assert "c does not agree with the others" in found.words
    assert "transposed" in found.words


@pytest.mark.parametrize(
    ("scale", "verdict", "words"),
    [
        (1000, "refused", r"km|m tall: millimetres for metres were taken"),
        (0.001, "refused", "cm tall: millimetres for metres should be taken"),
        (2.0, "refused", "m tall: if that is wrong"),
        (0.55, "good", ""),
    ],
)
def test_a_body_has_the_size_of_a_person(scale: float, verdict: str, words: str):
    cameras, pixels, weights = take()
    pose = cameras.cam_from_world.clone()
    pose[..., 3] *= scale
    found = judged(replace(cameras, cam_from_world=pose), pixels, weights)
    assert found.verdict == verdict
    if verdict == "refused":
        assert any(word in found.words for word in words.split("|"))
    else:
        assert "the limbs are those of a person of" in found.notes[0]


def test_a_world_in_which_people_lie_is_said():
    cameras, pixels, weights = take()
    turn = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0]], dtype=torch.float64)
    found = judged(cameras.moved(turn), pixels, weights)
    assert found.verdict == "good"
    assert "they stand along +y" in found.notes[0] or "they stand along -y" in found.notes[0]
    assert "--up people" in found.notes[0]


def test_left_and_right_exchanged_everywhere_is_refused():
    cameras, pixels, weights = take()
    mirror = list(H36M_17.mirror)
    found = judged(cameras, pixels[:, :, mirror], weights[:, :, mirror])
    assert found.verdict == "refused"
    assert "bend the knees backwards" in found.words


def test_nothing_to_compare_is_refused():
    cameras, pixels, weights = take()
    assert "hardly any joint" in judged(cameras, pixels, 0 * weights).words


def test_residuals_that_are_not_numbers_are_no_agreement():
    cameras, pixels, weights = take()
    broken = replace(cameras, cam_from_world=cameras.cam_from_world * torch.nan)
    assert judged(broken, pixels, weights).verdict == "refused"
