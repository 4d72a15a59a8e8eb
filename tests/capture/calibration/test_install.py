import pytest
import torch

from coview.capture.calibration.install import install_calibration, with_notes
from coview.data.synthetic.recordings import ring_cameras
from coview.formats.calibration.calibration import Calibration
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import COCO_17


@pytest.fixture
def session(tmp_path):
    cameras = tuple(SessionCamera(f"cam_{n}", (1000, 1000), None, 5) for n in range(4))
    made = Session(tmp_path, "take", 25.0, COCO_17, cameras)
    made.save()
    return made


def calibration(scale: float = 1.0, **more) -> Calibration:
    cameras = ring_cameras(4).to(torch.float64)
    moved = cameras.moved(torch.eye(3, 4).double(), scale=scale)
    return Calibration(tuple(f"cam_{n}" for n in range(4)), moved, {"source": "a test"}, **more)


def test_what_shows_other_cameras_goes_and_what_knows_its_cameras_stays(session):
    install_calibration(session, calibration())
    session.exports_dir.mkdir()
    shown = [session.report_path, session.exports_dir / "take.trc"]
    for path in (*shown, session.poses3d_path):
        path.write_text("x")
    install_calibration(session, calibration())
    assert all(path.exists() for path in shown)  # the same cameras
    install_calibration(session, calibration(scale=2.0))
    assert not any(path.exists() for path in shown)
    assert session.poses3d_path.exists()


def test_a_damaged_calibration_is_replaced(session):
    session.calibration_path.write_text("no toml")
    session.report_path.write_text("x")
    install_calibration(session, calibration())
    assert session.calibration().names == session.camera_names
    assert not session.report_path.exists()


def test_notes_are_written_with_it(session):
    noted = install_calibration(session, calibration(notes=("one", "two")))
    assert noted.provenance["notes"] == "one | two"
    assert session.calibration().provenance["notes"] == "one | two"
    plain = calibration()
    assert with_notes(plain) is plain
