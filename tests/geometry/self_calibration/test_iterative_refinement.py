import pytest
import torch

from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.iterative_refinement import detector_noise, readjust


def test_a_clock_between_frames_is_found_with_an_honest_sigma(make_walk, refine_walk):
    scene = make_walk(late=(0.0, 0.0333, -0.0271))
    found = refine_walk(scene, Unknowns("given", "offset"))
    off = (found.timing.time_offset - scene.late)[1:] / found.adjusted.clock_sigma[1:, 0]
    assert off.abs().max() < 4
    assert (found.adjusted.clock_sigma[1:, 0] < 2e-3).all()
    assert found.adjusted.clock_sigma[0, 0] < 1e-12, "the first camera's clock is everybody's"
    assert found.agreement.min() > 0.95


def test_a_joint_that_is_not_known_to_move_does_not_hold_the_clocks(make_walk, refine_walk):
    # taken for standing still, it contradicts every shift of all clocks together, and sigma is too small
    scores = []
    for seed in range(4):
        scene = make_walk(seed, missing=0.35, views=4)
        found = refine_walk(scene, Unknowns("given", "offset"))
        late, covariance = found.timing.time_offset[1:], found.adjusted.covariance_of("offset")[1:, 1:]
        scores.append(float(late @ torch.linalg.solve(covariance, late)) / 3)
    assert 0.2 < sum(scores) / len(scores) < 2.2


@pytest.mark.parametrize("luck", [{}, {"outliers": 0.1}, {"missing": 0.3}, {"noise": 4.0}])
def test_the_detector_s_noise_is_seen_whatever_else_is_wrong(make_walk, refine_walk, luck):
    found = refine_walk(make_walk(5, views=4, **luck), Unknowns())
    assert detector_noise(found) == pytest.approx(luck.get("noise", 2.0), rel=0.12)


def test_other_unknowns_see_the_same_observations(make_walk, refine_walk):
    scene = make_walk(outliers=0.05)
    found = refine_walk(scene, Unknowns("shared", "given"))
    other = readjust(found, scene.fps, Unknowns("each", "given"), threshold=10.0)
    assert other.cost <= found.adjusted.cost * (1 + 1e-3)
    assert (
        other.residuals.isfinite().sum() == (found.inliers & found.points.isfinite().all(-1)[:, None]).sum()
    )


def test_a_camera_that_sees_something_else_is_named(make_walk, refine_walk):
    scene = make_walk()
    scene.pixels[:, 2] = 1000 * torch.rand(
        scene.pixels[:, 2].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    scene.weights[5:, 2] = 0
    with pytest.raises(NotDeterminedError, match=r"camera 'cam_3' does not fit the others.*mirrored"):
        refine_walk(scene, Unknowns())
