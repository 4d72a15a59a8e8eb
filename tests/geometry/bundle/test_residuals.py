import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.cameras import Cameras
from coview.geometry.bundle.residuals import BundleScene, Observations, RobustLoss, Unknowns, linearise
from coview.geometry.rotations import rotation_from_axis_angle

PLAIN = RobustLoss(None)
LENSES = {
    "perfect": (None, False),
    "brown": ([-0.28, 0.09, 0.002, -0.001, 0.01, 0.02, -0.01, 0.005], False),
    "fisheye": ([0.08, -0.02, 0.005, -0.001], True),
}


def cameras_with(*lenses: str) -> Cameras:
    """A row of cameras that look along z, each with its own lens, slightly skewed pixels."""
    made = []
    for index, lens in enumerate(lenses):
        coefficients, fisheye = LENSES[lens]
        turn = rotation_from_axis_angle(torch.tensor([0.05, -0.1 * index, 0.3], dtype=torch.float64))
        shift = torch.tensor([[0.2 * index], [0.1], [3.0]], dtype=torch.float64)
        intrinsics = torch.tensor([[900.0, 2.0, 480], [0, 950, 510], [0, 0, 1]], dtype=torch.float64)
        distortion = None if coefficients is None else torch.tensor([coefficients], dtype=torch.float64)
        made.append(
            Cameras.make(
                intrinsics[None],
                torch.cat([turn, shift], dim=-1)[None],
                torch.tensor([[1000.0, 1000.0]], dtype=torch.float64),
                distortion,
                fisheye,
            )[0]
        )
    return Cameras.stack(made)


def scene_with(*lenses: str, count: int = 5, seed: int = 0) -> tuple[BundleScene, Observations]:
    generator = torch.Generator().manual_seed(seed)
    cameras = cameras_with(*lenses)
    points = torch.rand(count, 3, generator=generator, dtype=torch.float64) * 2 - 1
    noise = torch.randn(len(cameras), count, 2, generator=generator, dtype=torch.float64)
    pixels = cameras.project(points) + 4 * noise
    weights = torch.rand(len(cameras), count, generator=generator, dtype=torch.float64)
    return BundleScene(cameras, points.mT.contiguous()), Observations(
        pixels.transpose(1, 2).contiguous(), weights
    )


def residuals_by_cameras(scene: BundleScene, seen: Observations, step: torch.Tensor, points: torch.Tensor):
    """Textbook twin: weighted residuals after a step, through `Cameras.project`, for autograd."""
    turn = rotation_from_axis_angle(step[:, :3])
    pose = torch.cat(
        [turn @ scene.cameras.rotation, (scene.cameras.translation + step[:, 3:6])[..., None]], dim=-1
    )
    scale = torch.ones(len(scene.cameras), 3, 3, dtype=torch.float64)
    scale[:, :2, :2] = step[:, 6].exp()[:, None, None]
    moved = Cameras(
        scene.cameras.intrinsics * scale,
        pose,
        scene.cameras.size,
        torch.cat(
            [scene.cameras.distortion[:, :1] + 1e-30 + step[:, 7:], scene.cameras.distortion[:, 1:]], dim=1
        ),
        scene.cameras.fisheye,
    )
    return (moved.project(points.mT).transpose(1, 2) - seen.pixels) * seen.weights[:, None]


@pytest.mark.parametrize("lenses", [("perfect",) * 2, ("brown",) * 2, ("fisheye",) * 2, tuple(LENSES)])
def test_derivatives_equal_autograd_through_cameras_project(lenses):
    scene, seen = scene_with(*lenses)
    rows = linearise(scene, seen, PLAIN, Unknowns("each", distortion="each"))
    step = torch.zeros(len(lenses), 8, dtype=torch.float64)
    by_step, by_points = torch.autograd.functional.jacobian(
        lambda step, points: residuals_by_cameras(scene, seen, step, points), (step, scene.points)
    )
    torch.testing.assert_close(rows.weighted_residuals, residuals_by_cameras(scene, seen, step, scene.points))
    for view in range(len(lenses)):
        own = by_step[view, :, :, view].permute(2, 0, 1)  # parameters 2 points
        torch.testing.assert_close(rows.camera_rows[view], own, rtol=1e-9, atol=1e-7)
        for point in range(scene.points.shape[1]):
            own = by_points[view, :, point, :, point].mT
            torch.testing.assert_close(rows.point_rows[view, :, :, point], own, rtol=1e-9, atol=1e-7)


def test_derivatives_are_right_on_the_axis_of_a_fisheye():
    scene, seen = scene_with("fisheye", count=1)
    on_axis = scene.cameras.rotation[0].mT @ (
        torch.tensor([1e-9, 0, 2.0], dtype=torch.float64) - scene.cameras.translation[0]
    )
    scene = BundleScene(scene.cameras, on_axis[:, None])
    rows = linearise(scene, Observations(seen.pixels, torch.ones_like(seen.weights)), PLAIN)
    local = scene.cameras.rotation[0] @ rows.point_rows[0, :, 0, 0]
    assert local[0] == pytest.approx(900 / 2.0)  # a fisheye is a pinhole to first order: fx / depth


def test_residuals_are_in_pixels_and_not_weighted():
    scene, seen = scene_with(*LENSES)
    rows = linearise(scene, seen, RobustLoss(1.0))
    expected = scene.cameras.project(scene.points.mT).transpose(1, 2) - seen.pixels
    torch.testing.assert_close(rows.residuals, expected)
    assert rows.in_front.min() == 1


def test_a_point_behind_a_camera_costs_the_diagonal_and_pulls_on_nothing():
    scene, seen = scene_with("perfect", count=2)
    points = scene.points.clone()
    points[:, 0] = torch.tensor([0.0, 0.0, -10.0])
    rows = linearise(BundleScene(scene.cameras, points), seen, PLAIN)
    kept = linearise(
        BundleScene(scene.cameras, points[:, 1:]),
        Observations(seen.pixels[..., 1:], seen.weights[:, 1:]),
        PLAIN,
    )
    diagonal = math.hypot(1000, 1000)
    assert rows.in_front.tolist() == [[0.0, 1.0]]
    assert rows.cost - kept.cost == pytest.approx(0.5 * (diagonal * float(seen.weights[0, 0])) ** 2)
    for field in (rows.weighted_residuals, rows.camera_rows, rows.point_rows):
        assert field.isfinite().all()
        assert (field[..., 0] == 0).all()


@pytest.mark.parametrize("loss", [PLAIN, RobustLoss(3.0), RobustLoss(3.0, redescending=True)])
@given(length=st.floats(0.01, 100))
@settings(deadline=None, max_examples=30)
def test_loss_weight_and_curvature_are_the_derivatives_of_the_cost(loss, length):
    if abs(length - 3) < 1e-6:
        return  # Huber's kink
    vector = torch.tensor([length * 0.6, length * 0.8], dtype=torch.float64)
    cost = lambda v: loss.cost(v.square().sum().sqrt())  # noqa: E731 - two derivatives of one expression
    gradient = torch.autograd.functional.jacobian(cost, vector)
    hessian = torch.autograd.functional.hessian(cost, vector)
    at = torch.tensor(length, dtype=torch.float64)
    torch.testing.assert_close(loss.weight(at) * vector, gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss.curvature(at), hessian.trace() / 2, rtol=1e-9, atol=1e-9)


def test_huber_and_cauchy_are_scipys():
    # scipy.optimize.least_squares, loss="huber" and "cauchy" with f_scale=2: half of C² ρ((r/C)²)
    length = torch.tensor([0.5, 2.0, 7.0], dtype=torch.float64)
    z = (length / 2).square()
    huber = torch.where(z <= 1, z, 2 * z.sqrt() - 1)
    torch.testing.assert_close(RobustLoss(2.0).cost(length), 0.5 * 4 * huber)
    torch.testing.assert_close(RobustLoss(2.0, redescending=True).cost(length), 0.5 * 4 * z.log1p())


def test_a_late_cameras_columns_are_the_velocity_of_its_pixels():
    # a camera δ seconds late saw what moved on by δ · velocity: residuals grow by that, to first order exactly
    scene, seen = scene_with("brown", "perfect")
    generator = torch.Generator().manual_seed(5)
    velocity = 300 * torch.randn(seen.pixels.shape, generator=generator, dtype=torch.float64)
    moment = torch.linspace(-4, 4, seen.pixels.shape[-1], dtype=torch.float64)
    moving = Observations(seen.pixels, seen.weights, velocity, moment)
    unknowns = Unknowns("each", "drift")
    assert unknowns.columns == ("focal", "offset", "drift")

    def residuals(clock):
        return linearise(
            BundleScene(scene.cameras, scene.points, clock), moving, PLAIN, unknowns
        ).weighted_residuals

    clock = torch.tensor([[0.01, 1e-3], [-0.02, 2e-3]], dtype=torch.float64)
    rows = linearise(BundleScene(scene.cameras, scene.points, clock), moving, PLAIN, unknowns)
    for column, name in enumerate(("offset", "drift")):
        step = torch.zeros_like(clock)
        step[:, column] = 1e-5
        slope = (residuals(clock + step) - residuals(clock - step)) / 2e-5
        torch.testing.assert_close(rows.camera_rows[:, unknowns.place(name)], slope, rtol=1e-6, atol=1e-5)
