"""The comparison with the detections' triangulation: known distances, and what is said aloud."""

from dataclasses import replace

import pytest
import torch

from coview.capture.images.compare import compare_with_triangulation
from coview.capture.reconstruction.reconstruct import reconstruct
from coview.formats.motion.poses3d import Poses3D
from coview.skeletons import H36M_17, LEARNABLE_17, Skeleton


@pytest.fixture(scope="module")
def session(film, tmp_path_factory):
    session, _ = film.session(tmp_path_factory.mktemp("beside") / "s", frames=6)
    reconstruct(session)
    return session


def as_found(poses, skeleton=LEARNABLE_17, shift=0.0, scale=1.0):
    points = scale * poses.points[:, [H36M_17.index(joint) for joint in skeleton.joints]] + shift
    return Poses3D(points, None, None, None, 25.0, skeleton)


def test_the_same_joints_in_another_order_are_no_distance_apart(session):
    poses = session.poses3d()
    found = compare_with_triangulation(session, as_found(poses), poses)
    assert (found.frames, len(found.joints), found.covered) == (6, 17, 1.0)
    assert found.mean_mm == pytest.approx(0, abs=1e-4)
    assert found.residual_px == pytest.approx(found.triangulated_px, abs=1e-6)
    assert not found.warnings


def test_a_shift_and_a_size_are_seen_by_the_distance_and_not_after_alignment(session):
    poses = session.poses3d()
    found = compare_with_triangulation(session, as_found(poses, shift=torch.tensor([0.03, 0.0, 0.04])), poses)
    assert found.median_mm == pytest.approx(50, abs=0.01)
    assert found.mean_mm == pytest.approx(50, abs=0.01)
    assert found.p_mpjpe_mm == pytest.approx(0, abs=0.01)
    assert found.residual_px > 3
    assert "look at both before using" in found.warnings[0]
    assert compare_with_triangulation(session, as_found(poses, scale=1.1), poses).p_mpjpe_mm == pytest.approx(
        0, abs=0.01
    )


def test_joints_that_were_not_found_lower_the_cover(session):
    poses = session.poses3d()
    found = as_found(poses)
    found.points[:3] = torch.nan
    compared = compare_with_triangulation(session, found, poses)
    assert (compared.frames, compared.covered) == (3, 0.5)
    assert "only 50% of the joints" in compared.warnings[-1]


def test_nothing_in_common(session):
    poses = session.poses3d()
    other = Skeleton("other", ("tail",), (), "tail")
    with pytest.raises(ValueError, match="no joint of 'other' is known both"):
        compare_with_triangulation(
            session, Poses3D(torch.zeros(6, 1, 3), None, None, None, 25.0, other), poses
        )
    shorter = replace(poses, points=poses.points[:5], covariance=None, inliers=None, residuals=None)
    with pytest.raises(ValueError, match="6 frames from the images cannot be compared with 5"):
        compare_with_triangulation(session, as_found(poses), shorter)
