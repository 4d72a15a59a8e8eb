import torch

from coview.capture.association.time_offset import people_time_offsets
from coview.data.synthetic.crowd import generated_crowd

FPS = 25.0


def test_cameras_are_found_late_while_nobody_knows_who_is_who():
    late = (0.0, 23.4, -31.0)
    crowd = generated_crowd(2, 3, 250, seed=1, time_offsets=late)
    found = people_time_offsets(crowd.detections.joints, crowd.detections.confidence, FPS)
    assert (found * FPS - torch.tensor(late)).abs().max() <= 1.5


def test_people_who_stand_still_make_nobody_late():
    crowd = generated_crowd(2, 3, 200, seed=3)
    still = crowd.detections.joints[:, :1].expand_as(crowd.detections.joints)
    noise = torch.randn(still.shape, generator=torch.Generator().manual_seed(0))
    found = people_time_offsets(still + noise, crowd.detections.confidence[:, :1].expand(3, 200, -1, -1), FPS)
    assert found.tolist() == [0.0, 0.0, 0.0]


def test_cameras_that_see_nobody_in_common_are_on_time():
    crowd = generated_crowd(2, 2, 120, seed=2)
    joints = crowd.detections.joints.clone()
    joints[1] = torch.nan
    assert people_time_offsets(joints, crowd.detections.confidence, FPS).tolist() == [0.0, 0.0]
