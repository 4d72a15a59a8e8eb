import json

import pytest
import torch

from coview.data.synthetic.recordings import detect, random_motion, ring_cameras
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import COCO_19, H36M_17, Skeleton, skeleton_map
from coview.training.prediction.single_view_inputs import mean_bone_length, read_views


def record(path, frames: int = 6) -> Session:
    cameras, points = ring_cameras(2), random_motion(frames, seed=1)
    joints2d, confidence = (part.transpose(0, 1) for part in detect(points, cameras))
    session = Session(
        path, "take", 25.0, H36M_17, tuple(SessionCamera(n, (1000, 1000), None, frames) for n in ("a", "b"))
    )
    session.save()
    found = torch.cat([joints2d, confidence[..., None]], dim=-1)[:, :, None]
    write_detections(session.detections_dir, ("a", "b"), Detections.make(found))
    return session


def test_a_session_gives_every_camera_or_the_one_asked_for(tmp_path):
    session = record(tmp_path)
    views = list(read_views(tmp_path, H36M_17))
    assert [view.name for view in views] == ["a", "b"]
    joints2d, confidence = session.detections().single()
    assert torch.equal(views[1].joints2d, joints2d[1])
    assert torch.equal(views[1].confidence, confidence[1])
    assert views[0].size.tolist() == [1000, 1000]
    assert [view.name for view in read_views(tmp_path, H36M_17, camera="b")] == ["b"]
    with pytest.raises(LookupError, match="no camera 'c'; it has: a, b"):
        list(read_views(tmp_path, H36M_17, camera="c"))


def test_bone_length_comes_from_the_reconstruction_where_there_is_one(tmp_path):
    session = record(tmp_path)
    view = next(read_views(tmp_path, H36M_17))
    assert view.bone_length is None
    assert "no reconstructed 3D joints" in view.bone_source
    points = random_motion(6, seed=1)
    expected = mean_bone_length(points, H36M_17)
    torch.testing.assert_close(expected, expected[:1].expand(6))  # of a person, not of a pose
    points[2] = torch.nan  # a gap
    points[3, 5] = 99.0  # a wild joint
    Poses3D(points, None, None, None, 25.0, H36M_17).save(session.poses3d_path)
    view = next(read_views(tmp_path, H36M_17))
    assert view.bone_length == pytest.approx(float(expected[0]), rel=1e-4)
    assert "reconstructed in session" in view.bone_source


def test_a_bone_never_seen_leaves_the_size_open(tmp_path):
    session = record(tmp_path)
    points = random_motion(6, seed=1)
    points[:, 5] = torch.nan
    Poses3D(points, None, None, None, 25.0, H36M_17).save(session.poses3d_path)
    view = next(read_views(tmp_path, H36M_17))
    assert view.bone_length is None
    assert "never show all bones" in view.bone_source


def test_plain_json_of_one_camera(tmp_path):
    person = [[100.0 + joint, 200.0 - joint, 0.9] for joint in range(17)]
    person[3] = [0.0, 0.0, 0.0]
    content = {
        "size": [640, 480],
        "fps": 30,
        "skeleton": "coco_17",
        "frames": [{"people": [person]}, {"people": []}],
    }
    (tmp_path / "left.json").write_text(json.dumps(content))
    (view,) = read_views(tmp_path / "left.json", COCO_19)
    assert (view.name, view.size.tolist(), view.fps, view.bone_length) == ("left", [640, 480], 30.0, None)
    assert view.joints2d.shape == (2, 19, 2)
    torch.testing.assert_close(view.joints2d[0, COCO_19.root_index], torch.tensor([111.5, 188.5]))
    assert view.confidence[0, 3] == 0
    assert not view.confidence[1].any()
    (view,) = read_views(tmp_path / "left.json", COCO_19, size=(1280, 720))
    assert view.size.tolist() == [1280, 720]


def test_joints_that_a_model_needs_and_a_file_lacks_are_absent(tmp_path):
    content = {"skeleton": "coco_17", "frames": [{"people": [[[10.0, 20.0, 0.9]] * 17]}]}
    (tmp_path / "v.json").write_text(json.dumps(content))
    (view,) = read_views(tmp_path / "v.json", H36M_17)
    head = H36M_17.index("head_top")
    assert view.absent == ("head_top",)
    assert view.joints2d[:, head].isnan().all()
    assert (view.confidence == 0).nonzero()[:, 1].tolist() == [head]
    left_out = [bone for bone, used in zip(H36M_17.bones, view.bones.tolist(), strict=True) if not used]
    assert left_out == [("nose", "head_top")]
    tailed = Skeleton("tailed", ("tail", "nose"), (("tail", "nose"),), "tail")
    with pytest.raises(LookupError, match="nothing there stands for tail"):
        list(read_views(tmp_path / "v.json", tailed))


def test_the_size_comes_from_the_bones_that_all_know(tmp_path):
    session = record(tmp_path)
    points = random_motion(6, seed=1)
    in_coco = skeleton_map(H36M_17, COCO_19, partial=True).apply(points)
    Poses3D(in_coco, None, None, None, 25.0, COCO_19).save(session.poses3d_path)
    view = next(read_views(tmp_path, H36M_17))
    known = torch.tensor(["head_top" not in bone for bone in H36M_17.bones])
    assert torch.equal(view.bones, known)
    back = skeleton_map(COCO_19, H36M_17, partial=True).apply(in_coco)
    assert view.bone_length == pytest.approx(float(mean_bone_length(back, H36M_17, known)[0]), rel=1e-3)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not there\. Give a session"):
        list(read_views(tmp_path / "none.json", H36M_17))


def test_a_session_gives_one_view_per_camera(session):
    views = list(read_views(session.path, H36M_17))
    assert [view.name for view in views] == list(session.camera_names)
    assert views[0].joints2d.shape == (300, 17, 2)
    assert views[0].size is not None
    assert views[0].size.tolist() == [1000, 1000]
    assert views[0].bone_length == pytest.approx(0.25, abs=0.05)


def test_mean_bone_length_changes_with_the_person_and_not_with_the_pose(session):
    points = session.poses3d().points
    torch.testing.assert_close(
        mean_bone_length(2 * points, H36M_17), 2 * mean_bone_length(points, H36M_17), equal_nan=True
    )


def test_a_missing_joint_makes_it_unknown():
    points = torch.rand(2, 17, 3)
    points[0, 3] = torch.nan
    assert mean_bone_length(points, H36M_17).isnan().tolist() == [True, False]
