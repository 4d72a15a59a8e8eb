import pytest
import torch

from coview.capture.association.association import associate_calibrated
from coview.capture.association.frame_by_frame import frames_far_apart
from coview.capture.association.stage import associate
from coview.capture.calibration.from_people import calibrate_from_file
from coview.capture.reconstruction.reconstruct import reconstruct_everybody
from coview.data.synthetic.crowd import generated_crowd
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import write_detections
from coview.formats.session.session import Session, SessionCamera
from coview.metrics.identity import identity_score
from coview.skeletons import H36M_17

NAMES = ("a", "b", "c", "d", "e")
# one picture in five seconds: nobody is near where they were
PHOTOGRAPHS = 0.2


def photographs(frames: int, seed: int = 1):
    return generated_crowd(4, 5, frames, fps=PHOTOGRAPHS, kind="random", distance=1.0, seed=seed)


def test_people_of_photographs_are_told_apart_within_each_and_across_them():
    crowd = photographs(9)
    joints, confidence = crowd.detections.joints, crowd.detections.confidence
    found = associate_calibrated(joints, crowd.cameras, confidence, bones=H36M_17.bone_indices)
    assert frames_far_apart(found.tracks)
    assert found.count == 4
    assert identity_score(found.ids, crowd.who).accuracy >= 0.95


def test_one_photograph_is_enough():
    crowd = photographs(1, seed=2)
    found = associate_calibrated(crowd.detections.joints, crowd.cameras, crowd.detections.confidence)
    assert identity_score(found.ids, crowd.who).accuracy >= 0.9


def test_a_few_frames_of_a_video_are_followed():
    crowd = generated_crowd(4, 5, 9, distance=1.0, seed=1)
    found = associate_calibrated(crowd.detections.joints, crowd.cameras, crowd.detections.confidence)
    assert not frames_far_apart(found.tracks)
    assert identity_score(found.ids, crowd.who).accuracy >= 0.95


def test_without_bones_people_are_told_apart_within_each_frame():
    crowd = photographs(3)
    found = associate_calibrated(crowd.detections.joints, crowd.cameras, crowd.detections.confidence)
    each = [identity_score(found.ids[:, i : i + 1], crowd.who[:, i : i + 1]).accuracy for i in range(3)]
    assert min(each) >= 0.9


def test_nobody_is_nobody():
    empty = torch.full((2, 3, 2, 17, 2), torch.nan)
    assert associate_calibrated(empty, photographs(1).cameras[:2]).count == 0


@pytest.fixture
def session(tmp_path):
    crowd = photographs(9)
    path = tmp_path / "session"
    write_detections(path / "joints2d", NAMES, crowd.detections)
    write_calibration(Calibration(NAMES, crowd.cameras.to(torch.float64)), path / "given.toml")
    cameras = tuple(SessionCamera(name, (1000, 1000), None, 9) for name in NAMES)
    made = {"calibration_source": str(path / "given.toml")}
    session = Session(path, "photographs", PHOTOGRAPHS, H36M_17, cameras, made)
    session.save()
    return session, crowd


def test_all_stages_work_on_nine_photographs(session):
    session, crowd = session
    calibrate_from_file(session)
    people = associate(session)
    assert identity_score(people.ids, crowd.who).accuracy >= 0.95
    every, failed = reconstruct_everybody(Session.load(session.path))
    assert not failed
    assert len(every) == 4
    true = crowd.joints3d
    for number in range(1, 5):
        points = Session.load(session.path).poses3d(number).points
        error = (points - true).norm(dim=-1).nanmedian(dim=-1).values.nanmedian(dim=-1).values
        assert float(error.min()) < 0.03
