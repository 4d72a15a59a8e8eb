import pytest
import torch

from coview.capture.association.association import associate_calibrated, associate_uncalibrated, switches_of
from coview.data.synthetic.crowd import generated_crowd
from coview.formats.calibration.calibration import read_calibration
from coview.formats.keypoints.detections import Detections, stack_views
from coview.formats.keypoints.openpose import read_openpose_folder
from coview.metrics.identity import identity_score


def test_after_calibration_everybody_keeps_one_number():
    crowd = generated_crowd(3, 4, 150, seed=3)
    found = associate_calibrated(crowd.detections.joints, crowd.cameras, crowd.detections.confidence)
    score = identity_score(found.ids, crowd.who)
    assert score.accuracy >= 0.99
    assert found.count == 3


def test_before_calibration_too():
    crowd = generated_crowd(2, 3, 150, seed=1)
    found = associate_uncalibrated(crowd.detections.joints, crowd.detections.confidence)
    assert identity_score(found.ids, crowd.who).accuracy >= 0.99


def test_cameras_that_began_late_are_put_in_step():
    late = (0.0, 41.3, -27.6)
    crowd = generated_crowd(2, 3, 200, time_offsets=late, seed=2)
    found = associate_uncalibrated(crowd.detections.joints, crowd.detections.confidence, time_offsets=late)
    assert found.ids.shape == crowd.who.shape
    assert identity_score(found.ids, crowd.who).accuracy >= 0.99


def test_people_whom_one_camera_alone_sees_have_no_number():
    crowd = generated_crowd(2, 2, 100, seed=1)
    joints = crowd.detections.joints.clone()
    joints[1][crowd.who[1] == 2] = torch.nan
    found = associate_calibrated(joints, crowd.cameras)
    assert (found.ids[0][crowd.who[0] == 2] == -1).float().mean() > 0.9
    assert found.count == 1


def test_switches_are_changes_of_person_along_a_track():
    tracks = torch.tensor([[[0, 1], [0, 1], [1, 0]]])
    ids = torch.tensor([[[1, 2], [1, 2], [1, 2]]])
    assert switches_of(ids, tracks) == (2,)


def test_lags_are_one_per_view():
    with pytest.raises(ValueError, match=r"2 time offsets given for 3 views. Give one per view, in frames"):
        associate_uncalibrated(torch.zeros(3, 4, 1, 5, 2), time_offsets=(0.0, 1.0))


@pytest.mark.slow
def test_on_a_real_recording_the_person_on_the_beam_is_the_same_in_all_cameras(shared_data):
    # ../shared/data/pose2sim_single: two of four cameras also see somebody else. Pose2Sim's own association is right.
    folder = shared_data / "pose2sim_single"

    def detections(kind: str) -> Detections:
        views = [
            read_openpose_folder(view).points for view in sorted((folder / "balancing" / kind).iterdir())
        ]
        return Detections.make(stack_views(views))

    raw, reference = detections("pose"), detections("pose-associated").joints[:, :, 0]
    cameras = read_calibration(folder / "calibration" / "Calib_qualisys.toml").cameras
    apart = (raw.joints - reference[:, :, None]).norm(dim=-1).nanmedian(dim=-1).values
    apart = torch.where(apart.isnan(), torch.inf, apart)
    there = apart.amin(dim=-1) < 1.0
    before, after = (
        associate_uncalibrated(raw.joints, raw.confidence),
        associate_calibrated(raw.joints, cameras, raw.confidence),
    )
    for found in (
        before,
        after,
    ):  # before, the motionless bystander of two cameras must not be taken for the person
        right = (found.ids == 1).gather(2, apart.argmin(dim=-1, keepdim=True))[..., 0]
        assert float(right[there].float().mean()) >= 0.99
        assert sum(found.switches) == 0


def test_with_a_real_detectors_noise_two_times_of_one_person_are_two_people(shared_data):
    # The person on the beam in frames 0 to 49 beside themself in frames 50 to 99, in a random order in every frame.
    folder = shared_data / "pose2sim_single"
    views = sorted((folder / "balancing" / "pose-associated").iterdir())
    one = Detections.make(stack_views([read_openpose_folder(view).points for view in views]))
    joints, confidence = (
        torch.cat([part[:, :50], part[:, 50:]], dim=2) for part in (one.joints, one.confidence)
    )
    order = torch.rand(confidence.shape[:3], generator=torch.Generator().manual_seed(0)).argsort(dim=-1)
    confidence = confidence.gather(2, order[..., None].expand_as(confidence))
    joints = joints.gather(2, order[..., None, None].expand_as(joints))
    who = torch.where((confidence >= 0.3).any(dim=-1), order + 1, -1)
    cameras = read_calibration(folder / "calibration" / "Calib_qualisys.toml").cameras
    for found in (
        associate_uncalibrated(joints, confidence),
        associate_calibrated(joints, cameras, confidence),
    ):
        assert identity_score(found.ids, who).accuracy >= 0.99
