from dataclasses import replace
from pathlib import Path

import pytest
import torch

from coview.data.session_dataset import RecordedConfig, session_joints, training_skeleton
from coview.data.synthetic.recordings import detect, random_motion, ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session, SessionCamera, StaleError
from coview.skeletons import BODY_25, COCO_17, COCO_19, H36M_17, MPII_16, Skeleton


def record(
    path: Path, frames: int = 50, views: int = 3, *, truth: bool = True, skeleton: Skeleton = H36M_17, hide=()
) -> Session:
    """A session as `coview import` (and calibrate, reconstruct) would leave it; exact."""
    cameras = ring_cameras(views)
    points = random_motion(frames, seed=1)
    if skeleton != H36M_17:
        points = 0.3 * torch.randn(frames, len(skeleton), 3, generator=torch.Generator().manual_seed(0)) + 1
    joints2d, confidence = (part.transpose(0, 1) for part in detect(points, cameras, skeleton=skeleton))
    for view, frame in hide:
        confidence[view, frame] = 0
    names = tuple(f"cam{view}" for view in range(views))
    session = Session(
        path, "take", 25.0, skeleton, tuple(SessionCamera(n, (1000, 1000), None, frames) for n in names)
    )
    session.save()
    found = torch.cat([joints2d, confidence[..., None]], dim=-1)[:, :, None]
    write_detections(session.detections_dir, names, Detections.make(found))
    if truth:
        write_calibration(Calibration(names, cameras.to(torch.float64)), session.calibration_path)
        Poses3D(points, None, None, None, 25.0, skeleton).save(session.poses3d_path)
    return session


def test_train_and_validation_are_parts_of_time(tmp_path):
    record(tmp_path)
    config = RecordedConfig((tmp_path,))
    train, validation = config.train(), config.validation()
    assert (len(train), len(validation)) == (40, 10)
    expected = random_motion(50, seed=1)
    torch.testing.assert_close(train.instants.joints3d, expected[:40])
    torch.testing.assert_close(validation.instants.joints3d, expected[40:])


def test_each_session_is_somebody_and_a_take_with_a_clock(tmp_path):
    for name in ("one", "other"):
        record(tmp_path / name)
    both = RecordedConfig((tmp_path / "one", tmp_path / "other"), stride=5)
    train = both.train().instants
    assert train.subject.tolist() == train.sequence.tolist() == [0] * 8 + [1] * 8
    torch.testing.assert_close(
        train.time[:3], torch.tensor([0.0, 0.2, 0.4])
    )  # every fifth frame of 25 per second
    torch.testing.assert_close(both.validation().instants.time[:2], torch.tensor([1.6, 1.8]))


def test_fields_fit_together(tmp_path):
    record(tmp_path)
    config = RecordedConfig((tmp_path,))
    batch = config.train().instants
    assert config.provides == batch.fields
    assert batch.joints2d.shape == (40, 3, 17, 2)
    seen = batch.cameras.project(batch.joints3d[:, None])
    torch.testing.assert_close(seen, batch.joints2d, atol=1e-2, rtol=0)
    assert (batch.image_size == 1000).all()
    assert batch.joints2d.dtype == batch.joints3d.dtype == batch.cameras.intrinsics.dtype == torch.float32


def test_without_calibration_and_3d_there_are_no_such_fields(tmp_path):
    record(tmp_path, truth=False)
    config = RecordedConfig((tmp_path,))
    known = {"joints2d", "confidence", "image_size", "rig", "subject", "sequence", "time"}
    assert config.provides == known == config.validation().fields


def test_lenses_that_came_with_the_recording_are_cameras_without_a_place(tmp_path):
    session = record(tmp_path, truth=False)
    names = session.camera_names
    lenses = Calibration(names, ring_cameras(3).to(torch.float64), {"source": "test"})
    write_calibration(lenses, tmp_path / "lenses.toml")  # with places, which are of another day
    provenance = {"calibration_source": str(tmp_path / "lenses.toml")}
    replace(session, provenance=provenance).save()
    config = RecordedConfig((tmp_path,))
    known = {"joints2d", "confidence", "image_size", "rig", "subject", "sequence", "time"}
    assert config.provides == known | {"cameras"}
    cameras = config.train().instants.cameras
    torch.testing.assert_close(cameras.intrinsics[0], ring_cameras(3).intrinsics)
    assert cameras.cam_from_world.isnan().all()


def test_another_camera_can_be_the_test(tmp_path):
    record(tmp_path)
    config = RecordedConfig((tmp_path,), cameras=("cam0", "cam1"), test_cameras=("cam2",))
    train, test = config.train().instants, config.validation().instants
    assert train.joints2d.shape[1] == 2
    assert test.joints2d.shape[1] == 1
    seen = test.cameras.project(test.joints3d[:, None])
    torch.testing.assert_close(seen, test.joints2d, atol=1e-2, rtol=0)
    torch.testing.assert_close(test.cameras.cam_from_world[0, 0], ring_cameras(3).cam_from_world[2])


def test_frames_that_fewer_than_two_views_see_are_dropped(tmp_path):
    record(tmp_path, hide=[(0, 5), (1, 5), (0, 6), (2, 41), (1, 41), (0, 41)])
    config = RecordedConfig((tmp_path,))
    assert len(config.train()) == 39  # frame 5 went, frame 6 has two views left
    assert len(config.validation()) == 9
    assert not config.train().instants.confidence[5, 0].any()


def test_nobody_in_two_views_is_an_error(tmp_path):
    record(tmp_path, hide=[(view, frame) for view in (0, 1) for frame in range(50)])
    with pytest.raises(
        ValueError, match=r"of 40 frames for training, none has a person .* two cameras at once"
    ):
        RecordedConfig((tmp_path,)).train()


def test_some_cameras_and_every_second_frame(tmp_path):
    record(tmp_path)
    batch = RecordedConfig((tmp_path,), cameras=("cam2", "cam0"), stride=2).train().instants
    assert batch.joints2d.shape == (20, 2, 17, 2)
    everything = RecordedConfig((tmp_path,)).train().instants
    assert torch.equal(batch.joints2d, everything.joints2d[::2][:, [2, 0]])
    assert torch.equal(batch.cameras.centres[0], everything.cameras.centres[0][[2, 0]])


def test_sessions_are_rigs(tmp_path):
    record(tmp_path / "a")
    record(tmp_path / "b", frames=30)
    batch = RecordedConfig((tmp_path / "a", tmp_path / "b")).train().instants
    assert batch.rig.tolist() == [0] * 40 + [1] * 24


def test_different_numbers_of_cameras_cannot_be_mixed(tmp_path):
    record(tmp_path / "a")
    record(tmp_path / "b", views=2)
    with pytest.raises(ValueError, match="different numbers of cameras"):
        RecordedConfig((tmp_path / "a", tmp_path / "b")).train()


def test_one_camera_cannot_teach(tmp_path):
    record(tmp_path)
    with pytest.raises(ValueError, match="2 or more cameras, got 1"):
        RecordedConfig((tmp_path,), cameras=("cam0",)).train()


def without_sizes(session: Session, **provenance: str) -> None:
    """As an import without videos left it before it looked into the calibration."""
    cameras = tuple(replace(camera, size=None) for camera in session.cameras)
    replace(session, cameras=cameras, provenance=provenance).save()


def test_image_sizes_come_from_the_calibration_where_the_session_has_none(tmp_path):
    for name, truth in (("calibrated", True), ("beside", False), ("nowhere", False)):
        session = record(tmp_path / name, truth=truth)
        lenses = tmp_path / name / "lenses.toml"
        without_sizes(session, **({"calibration_source": str(lenses)} if name == "beside" else {}))
        if name == "beside":
            write_calibration(Calibration(session.camera_names, ring_cameras(3).to(torch.float64)), lenses)
    for name in ("calibrated", "beside"):
        config = RecordedConfig((tmp_path / name,))
        assert "image_size" in config.provides == config.train().fields
        assert (config.train().instants.image_size == 1000).all()
    config = RecordedConfig((tmp_path / "nowhere",))
    assert config.provides == config.train().fields == {
        "joints2d", "confidence", "rig", "subject", "sequence", "time"
    }  # fmt: skip
    assert "import again with the videos or a calibration beside" in config.remedy("image_size")


def test_a_session_on_the_skeleton_of_a_model(tmp_path):
    session = record(tmp_path, skeleton=COCO_17)
    batch = RecordedConfig((tmp_path,), skeleton="h36m_17").train().instants
    assert batch.skeleton is H36M_17
    head, nose = H36M_17.index("head_top"), H36M_17.index("nose")
    assert not batch.confidence[..., head].any()
    assert batch.joints2d[..., head, :].isnan().all()
    assert batch.joints3d[..., head, :].isnan().all()
    assert torch.equal(batch.joints3d[..., nose, :], session.poses3d().points[:40, COCO_17.index("nose")])
    assert RecordedConfig((tmp_path,)).on(H36M_17).skeleton == "h36m_17"
    assert RecordedConfig((tmp_path,), skeleton="coco_17").on(H36M_17).skeleton == "coco_17"
    strange = Skeleton("mine", ("tail", "nose"), (("tail", "nose"),), "tail")
    assert RecordedConfig((tmp_path,)).on(strange).skeleton is None
    with pytest.raises(
        LookupError, match=r"from skeleton 'coco_17' to 'mine': nothing there stands for tail"
    ):
        session_joints(session, strange)


def test_unknown_cameras_and_sessions_are_named(tmp_path):
    record(tmp_path)
    with pytest.raises(LookupError, match=r"no camera 'left'; it has: cam0, cam1, cam2"):
        RecordedConfig((tmp_path,), cameras=("left", "cam0")).train()
    with pytest.raises(ValueError, match="no session to learn from was given"):
        RecordedConfig().train()
    with pytest.raises(FileNotFoundError, match="no session at"):
        RecordedConfig((tmp_path / "nowhere",)).train()


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"validation_share is 0 to below 1, got 1\.5"):
        RecordedConfig(validation_share=1.5)
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        RecordedConfig(stride=0)


def test_skeletons_are_mapped_where_possible(tmp_path):
    assert training_skeleton(H36M_17) == H36M_17
    assert training_skeleton(COCO_17) == COCO_19
    assert training_skeleton(BODY_25) == COCO_19  # it has no head top
    assert training_skeleton(MPII_16) == MPII_16 or training_skeleton(MPII_16) == H36M_17


def test_computed_joints_are_as_sure_as_their_least_sure_part(tmp_path):
    session = record(tmp_path, skeleton=COCO_17, truth=False)
    joints2d, confidence = session_joints(session, COCO_19)
    hips = [COCO_19.index("left_hip"), COCO_19.index("right_hip")]
    pelvis = COCO_19.root_index
    torch.testing.assert_close(joints2d[..., pelvis, :], joints2d[..., hips, :].mean(dim=-2), equal_nan=True)
    assert torch.equal(confidence[..., pelvis], confidence[..., hips].amin(dim=-1))


def test_a_camera_is_named_once():
    for setting in ("cameras", "test_cameras"):
        with pytest.raises(ValueError, match=f"{setting} names cam1 twice"):
            RecordedConfig(sessions=(Path("s"),), **{setting: ("cam1", "cam0", "cam1")})


def test_what_is_missing_comes_with_what_to_do(tmp_path):
    config = RecordedConfig(sessions=(tmp_path / "s",))
    assert f"coview calibrate file {tmp_path / 's'}" in config.remedy("cameras")
    assert "coview reconstruct" in config.remedy("joints3d")
    assert config.remedy("rig") == ""


def test_joints_of_another_calibration_are_no_truth(tmp_path):
    session = record(tmp_path / "s")
    poses = session.poses3d()
    Poses3D(poses.points, None, None, None, 25.0, H36M_17, {"calibration_hash": "of before"}).save(
        session.poses3d_path
    )
    with pytest.raises(StaleError, match="another calibration than the session has now"):
        RecordedConfig(sessions=(session.path,)).train()


def test_a_forgotten_session_is_what_the_error_is_about():
    assert RecordedConfig().remedy("cameras") == "No session was given: name its folder with --data SESSION."
