import torch

from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.pseudo_labels.points import block_of_labels, prior_of_poses
from coview.data.pseudo_labels.rigs import find_rig
from coview.data.synthetic.recordings import detect, random_motion, ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17


def recording(frames: int = 700) -> MultiView:
    cameras = ring_cameras(4)
    joints = torch.cat([random_motion(frames // 7, seed=seed) for seed in range(7)])
    pixels, confidence = detect(joints, cameras, seed=0)
    return MultiView(
        H36M_17, cameras=cameras.expand(frames, 4), joints2d=pixels, confidence=confidence, joints3d=joints
    )


def test_pairs_give_points_whose_covariance_is_unknown():
    seen, config = recording(70), PseudoConfig(cameras="given", triangulation="pairs")
    rig = find_rig(seen, torch.arange(70), config, "rig 0")
    made = block_of_labels(seen, rig, config)
    torch.testing.assert_close(made.points, seen.joints3d, atol=1e-4, rtol=0)
    assert made.covariance.isnan().all()
    assert made.inliers.all()
    assert prior_of_poses(seen, {0: rig}, {0: torch.arange(70)}, config) is None


def test_the_prior_is_learnt_from_enough_poses_and_can_be_left_out():
    seen, config = recording(), PseudoConfig(cameras="given")
    every = torch.arange(700)
    rig = find_rig(seen, every, config, "rig 0")
    prior = prior_of_poses(seen, {0: rig}, {0: every}, config)
    assert prior is not None
    assert len(prior.means) == 1
    assert prior_of_poses(seen, {0: rig}, {0: every[:300]}, config) is None
    assert prior_of_poses(seen, {0: rig}, {0: every}, PseudoConfig(cameras="given", prior=0)) is None
