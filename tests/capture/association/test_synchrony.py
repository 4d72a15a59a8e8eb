import pytest
import torch

from coview.capture.association.association import TrackedDetections, tracked_detections
from coview.capture.association.synchrony import TwoViews, agreements, compared, match_at
from coview.data.synthetic.crowd import generated_crowd

FPS, LATE = 25.0, 20


def seen(kind, late=0.0):
    crowd = generated_crowd(3, 2, 150, kind=kind, time_offsets=(0.0, float(late)), seed=4)
    return TwoViews(tracked_detections(crowd.detections.joints, crowd.detections.confidence), FPS)


@pytest.fixture(scope="module")
def talking():
    return seen(["talk", "talk", "mixed"], LATE)


def test_agreement_peaks_where_a_camera_is_late(talking):
    match = match_at(talking, LATE)
    shifts = torch.arange(-40, 41, 4)
    agree = agreements(match, talking, shifts, match.noise)
    assert int(shifts[agree.argmax()]) == LATE
    assert float(agree.max()) > 0.6
    assert float(agree[shifts.sub(LATE).abs() > 10].max()) < 0.8 * float(agree.max())


def test_the_right_shift_explains_more_of_the_same_frames_by_a_tested_amount(talking):
    late, now = match_at(talking, LATE), match_at(talking, 0)
    found = compared(late, now, talking, min(late.noise, now.noise))
    assert found.first - found.second > 0.15
    assert found.deviations > 4
    back = compared(now, late, talking, min(late.noise, now.noise))
    assert back.first < back.second
    assert back.deviations < 0


def test_people_who_hardly_move_fit_at_any_time():
    views = seen("still")
    match = match_at(views, 0)
    agree = agreements(match, views, torch.tensor([-50, 0, 50]), match.noise)
    assert float(agree.max() - agree.min()) < 0.1
    other = match_at(views, 50)
    found = compared(other, match, views, match.noise)
    assert found.first - found.second < 0.05


def test_nobody_in_common_is_no_match():
    views = seen("still")
    joints, tracks = views.own.joints.clone(), views.own.tracks.clone()
    joints[1], tracks[1] = torch.nan, -1
    assert match_at(TwoViews(TrackedDetections(joints, tracks), FPS), 0) is None
