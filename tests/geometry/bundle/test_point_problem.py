import pytest
import torch

from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.bundle.point_problem import Problem, descend, gauge_basis
from coview.geometry.bundle.residuals import BundleScene, Observations, RobustLoss, Unknowns
from coview.geometry.rotations import rotation_from_axis_angle


def ring(views: int) -> Cameras:
    cameras = ring_cameras(views)
    fields = (cameras.intrinsics, cameras.cam_from_world, cameras.size, cameras.distortion)
    return Cameras(*(field.double() for field in fields), cameras.fisheye)


def centres_after(step: torch.Tensor, cameras: Cameras) -> torch.Tensor:
    rotation = rotation_from_axis_angle(step[:, :3]) @ cameras.rotation
    return -(rotation.mT @ (cameras.translation + step[:, 3:6])[..., None])[..., 0]


@pytest.mark.parametrize("columns", [6, 7])
@pytest.mark.parametrize("fix_scale", [True, False])
def test_steps_in_the_basis_leave_the_gauge_alone(columns, fix_scale):
    cameras = ring(4)
    basis = gauge_basis(cameras, Unknowns("each") if columns == 7 else Unknowns(), fix_scale)
    free = 4 * columns - 6 - int(fix_scale)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(free, dtype=torch.float64))
    assert basis.view(4, columns, free)[0, :6].abs().max() < 1e-12
    if columns == 7:  # the focal length of the first camera is no part of the gauge
        assert basis.view(4, 7, free)[0, 6].norm() == pytest.approx(1)
    farthest = int((cameras.centres - cameras.centres[0]).norm(dim=-1).argmax())

    def baseline(step: torch.Tensor) -> torch.Tensor:
        centres = centres_after(step.view(4, columns), cameras)
        return (centres[farthest] - centres[0]).norm()

    change = (
        torch.autograd.functional.jacobian(baseline, torch.zeros(4 * columns, dtype=torch.float64)) @ basis
    )
    assert (change.abs().max() < 1e-6) == fix_scale  # the ring's rotations are rigid to float32


def test_the_cost_never_rises_and_the_iterations_are_counted():
    cameras = ring(3)
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(3, 40, generator=generator, dtype=torch.float64) * 2 - 1
    noise = torch.randn(3, 2, 40, generator=generator, dtype=torch.float64)
    pixels = cameras.project(points.mT).transpose(1, 2) + 3 * noise
    seen = Observations(pixels.contiguous(), torch.ones(3, 40, dtype=torch.float64))
    problem = Problem(seen, RobustLoss(2.0), None, unknowns=Unknowns("each"), prior_pixels=1.0)
    assert problem.freedom == 2 * 3 * 40 - (3 * 7 - 7 + 3 * 40)
    start = BundleScene(cameras, points + 0.1)
    costs = [problem.at(start).cost]
    for limit in (1, 2, 4, 8):
        found = descend(problem, start, limit, tolerance=1e-9)
        assert found.iterations <= limit
        costs.append(found.estimate.cost)
    assert costs == sorted(costs, reverse=True)


def test_tied_unknowns_move_together_and_the_first_clock_stays():
    cameras, unknowns = ring(4), Unknowns("shared", "drift")
    basis = gauge_basis(cameras, unknowns, True)
    steps = basis.view(4, 9, -1)
    assert steps.shape[-1] == 4 * 9 - 7 - 3 - 2
    torch.testing.assert_close(steps[:, 6], steps[:1, 6].expand(4, -1))
    assert steps[0, 7:].abs().max() < 1e-12
