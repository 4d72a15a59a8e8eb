import pytest
import torch

from coview.capture.association.stage import (
    associate,
    describe_people,
    kept_people,
    placed,
    presences,
    several_people,
    update_people,
)
from coview.capture.calibration.from_people import calibrate_from_people
from coview.capture.export import export_session
from coview.capture.reconstruction.reconstruct import reconstruct_everybody
from coview.data.synthetic.crowd import generated_crowd
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import Session, SessionCamera, StaleError
from coview.metrics.identity import identity_score
from coview.skeletons import H36M_17

NAMES = ("a", "b", "c")
FRAMES = 120


def crowd_session(path, people: int, frames: int = FRAMES, late=None):
    crowd = generated_crowd(people, 3, frames, seed=1, time_offsets=late)
    write_detections(path / "joints2d", NAMES, crowd.detections)
    given = path / "given.toml"
    write_calibration(Calibration(NAMES, crowd.cameras.to(torch.float64)), given)
    cameras = tuple(SessionCamera(name, (1000, 1000), None, frames) for name in NAMES)
    session = Session(path, "crowd", 25.0, H36M_17, cameras, {"calibration_source": str(given)})
    session.save()
    return session, crowd


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    session, crowd = crowd_session(tmp_path_factory.mktemp("crowd") / "session", 2)
    done = calibrate_from_people(session, stature=(1, 1.7))
    return Session.load(session.path), crowd, done


def test_cameras_are_found_from_everybody(calibrated):
    _session, crowd, done = calibrated
    assert done.people.count == 2
    assert identity_score(done.people.ids, crowd.who).accuracy >= 0.99
    assert "2 people, matched across the cameras before" in done.calibration.provenance["people"]
    turned = done.calibration.cameras.rotation[1] @ done.calibration.cameras.rotation[0].mT
    true = (crowd.cameras.rotation[1] @ crowd.cameras.rotation[0].mT).to(turned)
    angle = torch.rad2deg(torch.acos((((turned @ true.mT).trace() - 1) / 2).clamp(-1, 1)))
    assert float(angle) < 1.0


def test_people_are_told_apart_and_cameras_found_though_these_are_late(tmp_path):
    late = (0.0, 23.4, -31.0)
    session, crowd = crowd_session(tmp_path / "session", 2, frames=300, late=late)
    done = calibrate_from_people(session, stature=(1, 1.7))
    assert identity_score(done.people.ids, crowd.who).accuracy >= 0.98
    found = [done.calibration.clocks[name].time_offset * session.fps if name in done.calibration.clocks else 0.0
             for name in NAMES]  # fmt: skip
    assert found == pytest.approx(late, abs=0.3)
    assert "started later by frames: b +23, c -31" in describe_people(done.people)


def test_cameras_said_to_be_on_time_are_not_searched(tmp_path):
    session, _crowd = crowd_session(tmp_path / "session", 2)
    assert update_people(session, None, on_time=True).time_offsets == (0.0, 0.0, 0.0)


def test_everybody_is_reconstructed_and_exported(calibrated):
    session, _crowd, _done = calibrated
    every, failed = reconstruct_everybody(session)
    assert [one.path.name for one in every] == ["joints3d.npz", "joints3d_person2.npz"]
    assert not failed
    assert min(one.found for one in every) > 0.9
    assert [path.name for path in export_session(session, ("csv",))] == ["crowd.csv", "crowd_person2.csv"]
    apart = (session.poses3d(1).points - session.poses3d(2).points).norm(dim=-1).nanmedian()
    assert float(apart) > 0.3


def test_provenance_and_table_tell_who_is_who(calibrated):
    session, _, done = calibrated
    people = update_people(session, placed(session))
    assert torch.equal(people.ids, done.people.ids)  # nothing is done twice
    assert Session.load(session.path).provenance["people"] == describe_people(people)
    assert describe_people(people).startswith(
        "2 people, by their cameras; tracks given to another person: a "
    )
    assert [row.person for row in presences(people)] == [1, 2]
    assert (session.path / "people.csv").read_text().startswith("camera,track,person,first_frame")


def test_the_reader_writes_nothing(calibrated):
    session, _, done = calibrated
    before = {path.name: path.stat().st_mtime_ns for path in session.path.iterdir()}
    assert torch.equal(kept_people(session, placed(session)).ids, done.people.ids)
    with pytest.raises(StaleError, match=r"made with other cameras than these. Run `coview associate"):
        kept_people(session, None)
    assert {path.name: path.stat().st_mtime_ns for path in session.path.iterdir()} == before


def test_corrections_hold_from_the_next_reading_on(calibrated, tmp_path):
    session, _, _ = calibrated
    before = session.followed(1)[0]
    session.edits_path.write_text('[[edit]]\ncamera = "all"\nframes = [0, 119]\nswap = [1, 2]\n')
    try:
        swapped = session.followed(2)[0]
        assert torch.equal(torch.nan_to_num(swapped), torch.nan_to_num(before))
        assert describe_people(update_people(session, placed(session))).endswith("1 edits of people.toml")
    finally:
        session.edits_path.unlink()


def test_other_2d_joints_make_it_stale(tmp_path):
    session, crowd = crowd_session(tmp_path / "session", 2)
    associate(session)
    write_detections(
        session.path / "joints2d", NAMES, Detections(crowd.detections.joints + 1, crowd.detections.confidence)
    )
    with pytest.raises(StaleError, match=r"Run `coview associate"):
        session.people()


def test_one_person_is_followed_as_ever(tmp_path):
    session, crowd = crowd_session(tmp_path / "session", 1)
    assert not several_people(crowd.detections)
    assert associate(session) is None
    assert not session.people_path.exists()
    ours, before = session.followed(), session.detections().single()
    assert all(
        torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in zip(ours, before, strict=True)
    )
    with pytest.raises(ValueError, match=r"follows one person, so there is no person 2"):
        session.followed(2)


def test_a_damaged_file_is_made_again(tmp_path):
    session, _crowd = crowd_session(tmp_path / "session", 2)
    associate(session)
    whole = session.people()
    session.people_path.write_bytes(session.people_path.read_bytes()[:200])
    associate(session)
    assert torch.equal(session.people().ids, whole.ids)


def test_a_delay_that_would_be_ignored_is_refused(tmp_path):
    session, crowd = crowd_session(tmp_path / "session", 2)
    with pytest.raises(
        ValueError, match=r"--time-offset: no camera x in session 'crowd'. Its cameras: a, b, c"
    ):
        associate(session, time_offsets={"x": 3.0})
    write_calibration(Calibration(NAMES, crowd.cameras.to(torch.float64)), session.calibration_path)
    with pytest.raises(ValueError, match=r"--time-offset is for sessions without a calibration"):
        associate(session, time_offsets={"b": 3.0})


def test_a_few_frames_of_several_people_need_a_calibration(tmp_path):
    session, _crowd = crowd_session(tmp_path / "session", 2, frames=9)
    with pytest.raises(
        ValueError, match=r"20 frames or more of the same people; with one, a single frame is enough"
    ):
        associate(session)
