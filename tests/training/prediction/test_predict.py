import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from coview.capture.importing.import_session import import_session
from coview.data.synthetic.recordings import SyntheticConfig, detect, random_motion, ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session, SessionCamera
from coview.methods.canonpose import CanonPoseConfig
from coview.methods.mcss import McssConfig
from coview.methods.weak_25d_lifting import Weak25DLiftingConfig
from coview.sample import MultiView
from coview.skeletons import BODY_25B, H36M_17
from coview.training.history import History
from coview.training.prediction.predict import barely_trained, predict
from coview.training.prediction.prediction_files import read_prediction
from coview.training.prediction.single_view_inputs import mean_bone_length
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

RECIPE = Recipe(
    method=CanonPoseConfig(width=4, projection="perspective"),
    data=SyntheticConfig(instants=8, validation_instants=4, subjects=1),
    steps=2,
    batch_size=4,
    device="cpu",
)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    return train(RECIPE, tmp_path_factory.mktemp("runs") / "tiny")


def record(path, size: tuple[int, int] | None = (1000, 1000)) -> Session:
    points = random_motion(6, seed=1)
    joints2d, confidence = (part.transpose(0, 1) for part in detect(points, ring_cameras(2)))
    confidence[0, 4, 0] = 0  # camera a does not see the root in frame 4
    session = Session(path, "take", 25.0, H36M_17, tuple(SessionCamera(n, size, None, 6) for n in ("a", "b")))
    session.save()
    found = torch.cat([joints2d, confidence[..., None]], dim=-1)[:, :, None]
    write_detections(session.detections_dir, ("a", "b"), Detections.make(found))
    return session


def test_without_a_reconstruction_the_unit_is_bones_and_it_says_so(tiny_run, tmp_path):
    record(tmp_path / "s")
    first, second = predict(tiny_run, tmp_path / "s", out=tmp_path / "out")
    assert (first.camera, second.camera) == ("a", "b")
    assert first.unit == "mean bone length"
    assert first.scale_source.startswith("none: ")
    torch.testing.assert_close(mean_bone_length(second.points, H36M_17), torch.ones(6))
    assert first.points[4].isnan().all()  # no root, no pose
    assert first.points[[0, 1, 2, 3, 5]].isfinite().all()
    torch.testing.assert_close(second.points[:, 0], torch.zeros(6, 3))


def test_a_reconstruction_gives_metres(tiny_run, tmp_path):
    session = record(tmp_path / "s")
    points = random_motion(6, seed=1)
    Poses3D(points, None, None, None, 25.0, H36M_17).save(session.poses3d_path)
    (found,) = predict(tiny_run, tmp_path / "s", camera="b", out=tmp_path / "out")
    assert found.unit == "m"
    assert "reconstructed in session" in found.scale_source
    torch.testing.assert_close(mean_bone_length(found.points, H36M_17), mean_bone_length(points, H36M_17))


def test_poses_are_those_of_the_model_but_for_their_size(tiny_run, tmp_path):
    session = record(tmp_path / "s")
    (found,) = predict(tiny_run, tmp_path / "s", camera="b")
    joints2d, confidence = session.detections().single()
    method = load_run(tiny_run).method
    batch = MultiView(H36M_17, joints2d=joints2d[1][:, None], confidence=confidence[1][:, None])
    expected = method(batch.replaced(image_size=torch.full((6, 1, 2), 1000.0))).joints3d[:, 0].detach()
    torch.testing.assert_close(found.points, expected / mean_bone_length(expected, H36M_17)[:, None, None])
    assert found.path == tmp_path / "s" / "predictions" / "tiny" / "b.npz"  # where the report looks


def test_files_say_units_axes_and_scale(tiny_run, tmp_path):
    record(tmp_path / "s")
    found = predict(tiny_run, tmp_path / "s", out=tmp_path)[0]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["points"], found.points.numpy())
        assert str(file["units"]) == "mean bone length"
        assert str(file["scale_source"]).startswith("none")
        assert "x right, y down, z forward" in str(file["axes"])
        assert tuple(file["joint_names"]) == H36M_17.joints
        assert float(file["fps"]) == 25.0
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("# units: mean bone length; scale: none")
    assert lines[1].startswith("frame,pelvis_x_bones,pelvis_y_bones")
    assert len(lines) == 2 + 6
    assert lines[2 + 4] == "4" + "," * 51  # a gap is blank


def test_a_2d_file_needs_its_image_size(tiny_run, tmp_path):
    joints2d, _ = detect(random_motion(3, seed=1), ring_cameras(1))
    people = [{"people": [[[*point, 0.9] for point in frame.tolist()]]} for frame in joints2d[:, 0]]
    content = {"skeleton": "h36m_17", "frames": people}
    (tmp_path / "v.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"image size of 'v' is not known.*--size"):
        predict(tiny_run, tmp_path / "v.json", out=tmp_path)
    (found,) = predict(tiny_run, tmp_path / "v.json", size=(1000, 1000))
    assert found.path == tiny_run / "predictions" / "v.npz"
    assert (found.comparison, found.not_compared) == (None, "the source is not a session")
    assert found.points.shape == (3, 17, 3)
    assert found.fps is None
    assert "one camera alone cannot tell" in found.scale_source


def test_an_orthographic_model_needs_no_image_size(tmp_path):
    recipe = replace(RECIPE, method=CanonPoseConfig(width=4))
    run = train(recipe, tmp_path / "run")
    record(tmp_path / "s", size=None)
    assert len(predict(run, tmp_path / "s")) == 2


def test_nobody_to_be_seen_is_an_error(tiny_run, tmp_path):
    session = record(tmp_path / "s")
    nobody = Detections(torch.full((2, 6, 1, 17, 2), torch.nan), torch.zeros(2, 6, 1, 17))
    write_detections(session.detections_dir, ("a", "b"), nobody)
    with pytest.raises(ValueError, match=r"'a': the root joint \(pelvis\) is seen in none of 6 frames"):
        predict(tiny_run, tmp_path / "s", out=tmp_path)


def test_answers_that_are_no_numbers_are_the_models(tiny_run, tmp_path):
    """Weights that are finite, and too large for float32 in their product."""
    shutil.copytree(tiny_run, tmp_path / "wild")
    weights = load_file(tmp_path / "wild" / "weights.safetensors")
    save_file(
        {name: torch.full_like(each, 1e30) for name, each in weights.items()},
        tmp_path / "wild" / "weights.safetensors",
    )
    told = json.loads((tmp_path / "wild" / "run.json").read_text())
    del told["weights_sha256"]
    (tmp_path / "wild" / "run.json").write_text(json.dumps(told))
    record(tmp_path / "s")
    with pytest.raises(
        ValueError, match=r"'a': the model's answers are not finite, although the root joint is seen in 5"
    ):
        predict(tmp_path / "wild", tmp_path / "s", out=tmp_path)


# --- a session that was calibrated and reconstructed


def test_every_camera_of_a_session_is_lifted_by_itself(run, session, tmp_path):
    lifted = predict(run, session.path, out=tmp_path)
    assert [one.camera for one in lifted] == ["cam_1", "cam_2", "cam_3", "cam_4"]
    for one in lifted:
        assert one.points.shape == (300, 17, 3)
        root = one.points[:, one.skeleton.root_index]
        assert root[root.isfinite()].abs().max() < 1e-6
        assert one.unit == "m"
        assert "reconstructed in session" in one.scale_source
        assert one.path.is_file()
        assert one.path.with_suffix(".csv").is_file()


def test_metres_are_those_of_the_reconstruction(run, session, tmp_path):
    (one,) = predict(run, session.path, camera="cam_2", out=tmp_path)
    bones = [(one.points[:, a] - one.points[:, b]).norm(dim=-1) for a, b in one.skeleton.bone_indices]
    truth = session.poses3d().points
    true = [(truth[:, a] - truth[:, b]).norm(dim=-1) for a, b in one.skeleton.bone_indices]
    assert torch.stack(bones).nanmedian() > 0.05
    mean, true_mean = torch.stack(bones, -1).mean(-1).nanmedian(), torch.stack(true, -1).mean(-1).nanmedian()
    torch.testing.assert_close(mean, true_mean, rtol=0.05, atol=0)


def test_what_is_written_can_be_read_back(run, session, tmp_path):
    (one,) = predict(run, session.path, camera="cam_1", out=tmp_path)
    with np.load(one.path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["points"], one.points.numpy())
        assert str(file["units"]) == "m"
        assert "x right, y down, z forward" in str(file["axes"])
    rows = list(csv.reader(one.path.with_suffix(".csv").read_text().splitlines()[1:]))
    assert rows[0][:2] == ["frame", "pelvis_x_m"]
    assert len(rows) == 301


def test_a_file_of_joints_has_no_metres_and_says_so(run, session, tmp_path):
    joints, confidence = session.detections().single()
    people = torch.cat([joints[0], confidence[0][..., None]], dim=-1)
    people = torch.nan_to_num(people)
    file = tmp_path / "phone.json"
    frames = [{"people": [frame.tolist()]} for frame in people]
    file.write_text(
        json.dumps(
            {"camera": "phone", "fps": 25, "size": [1000, 1000], "skeleton": "h36m_17", "frames": frames}
        )
    )
    (one,) = predict(run, file, out=tmp_path / "out")
    assert one.unit == "mean bone length"
    assert "one camera alone cannot tell" in one.scale_source


def test_an_unknown_camera_names_the_known_ones(run, session):
    with pytest.raises(LookupError, match="no camera 'cam_9'; it has: cam_1"):
        predict(run, session.path, camera="cam_9")


def test_a_source_that_is_not_there(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there"):
        predict(run, tmp_path / "nothing")


# --- beside the reconstruction


def test_a_reconstructed_session_is_compared_and_the_numbers_are_kept(run, session, tmp_path):
    (one,) = predict(run, session.path, camera="cam_2", out=tmp_path)
    assert one.comparison.frames > 250
    kept = json.loads(one.path.with_suffix(".json").read_text())
    assert kept["metrics"]["n_mpjpe_mm"] == one.comparison.model.n_mpjpe_mm
    assert kept["mean_pose"]["p_mpjpe_mm"] == one.comparison.mean_pose.p_mpjpe_mm
    assert "not truth" in kept["reference"]
    assert kept["trained_on"] == "this very session, with no 3D labels"
    assert read_prediction(one.path).provenance["run"] == str(run.resolve())


def test_weights_that_were_not_trained_are_told_from_those_of_few_steps(tiny_run):
    run = load_run(tiny_run)
    facts = run.record["facts"] | {"init": "from w.pth: 9 weights used"}
    told = replace(run, record=run.record | {"steps": 0, "facts": facts})
    assert "The model was not trained by coview: from w.pth: 9 weights used." in list(barely_trained(told))


def test_twenty_steps_are_doubted_and_so_are_their_poses(run, session, tmp_path):
    (one,) = predict(run, session.path, camera="cam_2", out=tmp_path)
    assert one.warnings[0].startswith("The model has had 20 training steps; with fewer than 200")
    assert any(words.startswith("cam_2: worse than the session's mean pose") for words in one.warnings)


def test_a_loss_that_does_not_fall_is_doubted(run, tmp_path):
    loaded = load_run(run)
    for last, doubted in ((0.95, True), (0.5, False)):
        History([{"step": 50.0, "loss": 1.0}, {"step": 5000.0, "loss": last}]).save(tmp_path / "history.csv")
        told = replace(loaded, path=tmp_path, record=loaded.record | {"steps": 5000})
        words = list(barely_trained(told))
        assert len(words) == doubted
        assert not doubted or "hardly fell (from 1 to 0.95 at best)" in words[0]


def test_a_model_of_17_joints_predicts_on_the_real_session(tiny_run, shared_data, tmp_path):
    """OpenPose's 25 joints hold those of H36M-17, four of them as means."""
    folder = shared_data / "pose2sim_single" / "balancing"
    if not folder.is_dir():
        pytest.skip("the Pose2Sim recording is not here")
    session = import_session(folder, tmp_path / "s")
    assert session.skeleton == BODY_25B
    found = predict(tiny_run, session.path, camera="cam01")[0]
    assert found.points.shape == (100, 17, 3)
    assert found.points.isfinite().float().mean() > 0.95


def test_canonical_poses_are_not_written_as_if_in_camera_axes(tmp_path):
    recipe = replace(
        RECIPE,
        method=McssConfig(width=8, head=8, features=8, metric_weight=0.0),
        data=SyntheticConfig(instants=20, validation_instants=4, subjects=1),
    )
    run = train(recipe, tmp_path / "run", progress=False)
    record(tmp_path / "s")
    with pytest.raises(ValueError, match=r"Mcss predicts canonical poses, .* `coview evaluate` measures it"):
        predict(run, tmp_path / "s")


def test_a_method_that_measures_angles_is_given_the_intrinsics_of_a_session_and_answers_in_metres(tmp_path):
    recipe = replace(
        RECIPE, method=Weak25DLiftingConfig(width=4), data=SyntheticConfig(instants=8, subjects=1)
    )
    run = train(recipe, tmp_path / "run", progress=False)
    session = record(tmp_path / "s")
    with pytest.raises(ValueError, match=r"intrinsics of 'a' are not known.*coview calibrate"):
        predict(run, session.path)
    calibration = Calibration(("a", "b"), ring_cameras(2).to(torch.float64)).without_extrinsics()
    write_calibration(calibration, session.calibration_path)
    first, _ = predict(run, session.path)
    assert first.unit == "m"
    assert "mean limb lengths" in first.scale_source
    assert first.points[[0, 1, 2]].isfinite().all()
    assert 0.1 < float(mean_bone_length(first.points, H36M_17).nanmean()) < 0.5
