import pytest
import torch

from coview.skeletons import H36M_17
from coview.training.views import mean_bone_length, read_views


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
