import torch

from coview.data.synthetic.crowd import generated_crowd
from coview.data.synthetic.recordings import EXACT


def test_who_is_told_of_every_detection_and_of_nothing_else():
    crowd = generated_crowd(3, 4, 40, seed=1)
    seen = crowd.detections.joints.isfinite().all(dim=-1).any(dim=-1)
    assert torch.equal(seen, crowd.who > 0)
    assert crowd.who[crowd.who > 0].unique().tolist() == [1, 2, 3]


def test_the_order_of_people_changes_from_frame_to_frame():
    crowd = generated_crowd(3, 2, 40, missed=0.0, seed=2)
    assert len(crowd.who[0].unique(dim=0)) > 3


def test_detections_show_the_person_they_are_said_to_show():
    crowd = generated_crowd(2, 3, 20, noise=EXACT, seed=3)
    truth = crowd.cameras.project(crowd.joints3d[:, :, None])  # people, frames, views, joints, 2
    for person in (1, 2):
        view, frame, place = (crowd.who == person).nonzero(as_tuple=True)
        found, expected = crowd.detections.joints[view, frame, place], truth[person - 1, frame, view]
        error = (found - expected).norm(dim=-1)
        assert float(error[error.isfinite()].max()) < 0.01


def test_a_late_camera_shows_the_world_of_a_later_frame():
    late = generated_crowd(1, 2, 30, noise=EXACT, missed=0.0, time_offsets=(0.0, 5.0), seed=4)
    at = late.cameras[1:2].project(late.joints3d[0, 5:, None])[
        :, 0
    ]  # what a camera on time sees five frames later
    error = (late.detections.joints[1, :-5, 0] - at).norm(dim=-1)
    assert float(error[error.isfinite()].max()) < 0.01


def test_people_keep_out_of_each_other():
    crowd = generated_crowd(4, 2, 100, seed=5)
    middle = crowd.joints3d.mean(dim=2)[..., :2]
    apart = (middle[:, None] - middle[None]).norm(dim=-1) + 10 * torch.eye(4)[..., None]
    assert float(apart.min()) > 0.3
