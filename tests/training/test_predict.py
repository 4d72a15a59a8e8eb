import csv
import json

import numpy as np
import pytest
import torch

from coview.training.predict import predict


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
