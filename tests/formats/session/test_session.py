"""A session goes to `session.toml` and back; what is missing or damaged is named with what to do."""

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from coview.cameras import Cameras
from coview.formats.calibration.calibration import Calibration, read_calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session import session as module
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import BODY_25B, COCO_17, Skeleton

TRIPOD = Skeleton(
    "tripod",
    ("top", "left_a", "right_a"),
    (("top", "left_a"), ("top", "right_a")),
    "top",
    (("left_a", "right_a"),),
)


def session(path: Path, skeleton=BODY_25B, **changes) -> Session:
    cameras = (
        SessionCamera("cam01", (1080, 1920), path / "videos" / "cam01.mp4", 5),
        SessionCamera("cam 2", None, Path("/elsewhere/b.mp4"), 5),
        SessionCamera("ü.3", (10, 20), None, 5),
    )
    provenance = {"source": 'a "quoted"\nline \\ and ünïcode', "fps": "guess"}
    return replace(Session(path, "take one", 59.94, skeleton, cameras, provenance), **changes)


@pytest.mark.parametrize("skeleton", [BODY_25B, COCO_17, TRIPOD], ids=lambda s: s.name)
def test_round_trip(tmp_path, skeleton):
    given = session(tmp_path / "s", skeleton)
    given.save()
    assert Session.load(tmp_path / "s") == given


def test_the_file_is_for_people(tmp_path):
    session(tmp_path).save()
    text = (tmp_path / "session.toml").read_text()
    table = tomllib.loads(text)
    assert list(table)[:5] == ["format", "name", "fps", "first_frame", "units"]
    assert list(table)[5:] == ["skeleton", "cameras", "provenance"]
    assert table["units"] == "m"
    assert table["skeleton"] == "body_25b"
    assert table["cameras"][0] == {
        "name": "cam01",
        "size": [1080, 1920],
        "video": "videos/cam01.mp4",
        "frames": 5,
        "first_picture": 0,
        "by_time": False,
    }
    assert "size" not in table["cameras"][1]
    assert "video" not in table["cameras"][2]


def test_a_session_can_be_moved_with_the_videos_inside_it(tmp_path):
    session(tmp_path / "a").save()
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = Session.load(tmp_path / "b")
    assert moved.cameras[0].video == tmp_path / "b" / "videos" / "cam01.mp4"
    assert moved.cameras[1].video == Path("/elsewhere/b.mp4")


def test_what_it_holds(tmp_path):
    made = session(tmp_path)
    detections = Detections.make(torch.rand(3, 5, 2, 25, 3))
    write_detections(made.detections_dir, made.camera_names, detections)
    assert torch.equal(made.detections().joints, detections.joints)
    Poses3D(torch.rand(5, 25, 3), None, None, None, 59.94, BODY_25B).save(made.poses3d_path)
    assert made.poses3d().points.shape == (5, 25, 3)
    assert (made.frames, made.sizes) == (5, ((1080, 1920), None, (10, 20)))
    assert made.with_provenance(fps="sure").provenance["fps"] == "sure"


def test_what_is_not_there_yet(tmp_path):
    made = session(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"is not calibrated: .* Run `coview calibrate"):
        made.calibration()
    with pytest.raises(FileNotFoundError, match=r"has no 3D joints: .* Run `coview reconstruct"):
        made.poses3d()
    with pytest.raises(FileNotFoundError, match="camera 'cam01' has no 2D joints"):
        made.detections()
    with pytest.raises(FileNotFoundError, match=r"no session at .*coview import"):
        Session.load(tmp_path / "nowhere")


def test_its_calibration(tmp_path, shared_data):
    made = session(tmp_path)
    given = read_calibration(shared_data / "caliscope_charuco4cam" / "camera_array.toml")
    write_calibration(given, made.calibration_path)
    made = replace(made, cameras=tuple(SessionCamera(name, None, None, 5) for name in given.names))
    assert made.calibration().names == given.names


def test_a_calibration_is_read_once_and_again_when_the_file_changes(tmp_path, shared_data, monkeypatch):
    made = session(tmp_path)
    given = read_calibration(shared_data / "caliscope_charuco4cam" / "camera_array.toml")
    write_calibration(given, made.calibration_path)
    made = replace(made, cameras=tuple(SessionCamera(name, None, None, 5) for name in given.names))
    read = []
    monkeypatch.setattr(module, "read_calibration", lambda path: read.append(path) or read_calibration(path))
    first = made.calibration()
    first.provenance["mine"] = "of this caller alone"
    assert "mine" not in made.calibration().provenance
    assert len(read) == 1
    assert replace(made, fps=25.0).calibration().fingerprint == first.fingerprint
    assert len(read) == 1
    moved = replace(given, cameras=given.cameras.moved(torch.eye(3, 4).double(), scale=2.0))
    write_calibration(moved, made.calibration_path)
    assert made.calibration().fingerprint != first.fingerprint
    assert len(read) == 2
    made.calibration_path.unlink()
    with pytest.raises(FileNotFoundError, match="is not calibrated"):
        made.calibration()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a\nb", "a\\b", "é" * 101])
def test_camera_names_are_file_names(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be a file name"):
        SessionCamera(name, None, None, 1)


def test_a_session_file_cannot_point_its_cameras_elsewhere(tmp_path):
    session(tmp_path).save()
    text = (tmp_path / "session.toml").read_text().replace('"cam01"', '"../../etc/passwd"')
    (tmp_path / "session.toml").write_text(text)
    with pytest.raises(
        ValueError, match=r"session.toml: camera name '../../etc/passwd' cannot be a file name"
    ):
        Session.load(tmp_path)


def test_duplicate_camera_names(tmp_path):
    cameras = (SessionCamera("Cam1", None, None, 1), SessionCamera("cam1", None, None, 1))
    with pytest.raises(ValueError, match=r"two cameras are named cam1 .*own name"):
        session(tmp_path, cameras=cameras)


@pytest.mark.parametrize("name", ["../up", "/etc/x", "", "..", "a\\b"])
def test_the_name_is_a_file_name(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be a file name: exports are named after it"):
        session(tmp_path, name=name)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_frame_rates(tmp_path, fps):
    with pytest.raises(ValueError, match="fps must be above 0"):
        session(tmp_path, fps=fps)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 99", "has format 99, and this coview reads up to 1. Update coview"),
        ("fps = 59.94", "", "the key 'fps' is missing"),
        ("body_25b", "body_99", "no skeleton 'body_99'"),
        ("[1080, 1920]", '"large"', "session.toml: invalid literal"),
        ("fps = 59.94", "fps = [", r"session.toml is not valid TOML: .*line \d"),
    ],
)
def test_damaged_files(tmp_path, old, new, message):
    session(tmp_path).save()
    file = tmp_path / "session.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        Session.load(tmp_path)


def test_its_calibration_is_in_the_order_of_its_cameras(tmp_path):
    made = Session(
        tmp_path,
        "s",
        25.0,
        BODY_25B,
        (SessionCamera("b", (10, 20), None, 5), SessionCamera("a", (20, 10), None, 5)),
        {},
    )
    lens = torch.tensor([[9.0, 0, 10], [0, 9, 5], [0, 0, 1]])
    turned = torch.tensor([[9.0, 0, 5], [0, 9, 10], [0, 0, 1]])
    sizes = torch.tensor([[20.0, 10], [10, 20]])
    cameras = Cameras.make(torch.stack([lens, turned]), torch.full((2, 3, 4), torch.nan), size=sizes)
    write_calibration(Calibration(("a", "b"), cameras), made.calibration_path)
    assert made.calibration().names == ("b", "a")
    assert made.calibration().cameras.size.tolist() == [[10, 20], [20, 10]]
    write_calibration(Calibration(("b", "a"), cameras), made.calibration_path)
    with pytest.raises(ValueError, match=r"camera 'b': .*width and height are exchanged"):
        made.calibration()
    write_calibration(Calibration(("a", "c"), cameras), made.calibration_path)
    with pytest.raises(ValueError, match="the calibration has no camera b"):
        made.calibration()


# --- what was made from something else -----------------------------------------------------------


def recorded(path: Path, fps=50.0, seed=0) -> Session:
    """A session with 2D and 3D joints that belong together."""
    made = Session(path, "take", fps, BODY_25B, (SessionCamera("a", None, None, 5),))
    made.save()
    random = torch.Generator().manual_seed(seed)
    seen = Detections.make(torch.rand(1, 5, 1, 25, 3, generator=random) + 0.1)
    write_detections(made.detections_dir, made.camera_names, seen)
    told = {"tracks_hash": made.tracks_fingerprint}
    points = torch.rand(5, 25, 3, generator=random)
    Poses3D(points, None, None, None, fps, BODY_25B, told).save(made.poses3d_path)
    return made


def test_joints_of_other_2d_joints_are_refused(tmp_path):
    made = recorded(tmp_path / "s")
    assert made.poses3d().points.shape == (5, 25, 3)
    seen = Detections.make(torch.full((1, 5, 1, 25, 3), 0.5))
    write_detections(made.detections_dir, made.camera_names, seen)
    with pytest.raises(module.StaleError, match=r"other 2D joints.* than .* now\. Run `coview reconstruct"):
        made.poses3d()


def test_joints_of_another_frame_rate_are_refused(tmp_path):
    made = recorded(tmp_path / "s")
    with pytest.raises(
        module.StaleError, match=r"made from 50 frames per second, and the session has 60 now"
    ):
        replace(made, fps=60.0).poses3d()


def test_joints_from_before_a_correction_of_people_are_refused(tmp_path):
    made = recorded(tmp_path / "s")
    made.people_path.write_bytes(b"who is who")
    with pytest.raises(module.StaleError, match=r"another choice of who is who"):
        made.poses3d()


def test_the_first_frame_reaches_the_3d_joints(tmp_path):
    assert replace(recorded(tmp_path / "s"), first_frame=40).poses3d().first_frame == 40
