import pytest
import torch

from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.pseudo_labels.rigs import find_rig
from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17

GIVEN = PseudoConfig(cameras="given")


def recording(sigma: float = 4.0, frames: int = 400) -> MultiView:
    cameras = ring_cameras(4)
    joints = random_motion(frames, seed=0)
    noise = DetectorNoise(sigma=sigma, outlier_rate=0.0, missing_rate=0.0, swap_rate=0.0)
    pixels, _ = detect(joints, cameras, noise, 0)
    return MultiView(
        H36M_17,
        cameras=cameras.expand(frames, 4),
        joints2d=pixels,
        confidence=torch.ones(frames, 4, 17),
    )


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_the_noise_of_each_joint_is_measured(sigma):
    rig = find_rig(recording(sigma), torch.arange(400), GIVEN, "rig 0")
    assert float(rig.sigma.square().mean().sqrt()) == pytest.approx(sigma, rel=0.1)
    vague, sharp = (rig.sigma[H36M_17.index(joint)] for joint in ("left_hip", "nose"))
    assert vague > 2 * sharp


def test_up_is_found_in_a_world_that_lies_on_its_side():
    seen = recording()
    turn = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0]])
    lying = seen.replaced(cameras=ring_cameras(4).moved(turn).expand(400, 4))
    up = find_rig(lying, torch.arange(400), GIVEN, "rig 0").up.float()
    assert float(up @ turn[2, :3]) > 0.999


def test_a_wrong_unit_does_not_matter_to_the_threshold():
    """Millimetres instead of metres change the world, not the pixels."""
    seen = recording()
    small = seen.replaced(cameras=ring_cameras(4).moved(torch.eye(3, 4), scale=0.001).expand(400, 4))
    one, other = (find_rig(each, torch.arange(400), GIVEN, "rig 0") for each in (seen, small))
    assert other.threshold == pytest.approx(one.threshold, rel=1e-3)
    torch.testing.assert_close(other.sigma, one.sigma, rtol=1e-3, atol=0)


def test_a_left_handed_rotation_is_refused():
    seen = recording()
    places = seen.cameras.cam_from_world.clone()
    places[:, 1, 0] *= -1
    mirrored = ring_cameras(4)
    wrong = type(mirrored)(
        seen.cameras.intrinsics, places, seen.cameras.size, seen.cameras.distortion, seen.cameras.fisheye
    )
    with pytest.raises(ValueError, match=r"view 1.*no rotation"):
        find_rig(seen.replaced(cameras=wrong), torch.arange(400), GIVEN, "rig 0")


def test_a_person_of_whom_little_is_seen_is_refused():
    seen = recording(frames=50)
    few = torch.zeros(50, 4, 17)
    few[..., :4] = 1
    with pytest.raises(ValueError, match="rig 0: no view of 50 instants shows half of the joints"):
        find_rig(seen.replaced(confidence=few), torch.arange(50), GIVEN, "rig 0")
