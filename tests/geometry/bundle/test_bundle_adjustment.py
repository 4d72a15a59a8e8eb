from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.bundle.bundle_adjustment import Adjusted, adjust
from coview.geometry.bundle.distance_prior import DistancePrior
from coview.geometry.rotations import nearest_rotation, rotation_angle, rotation_from_axis_angle

BROWN = torch.tensor([-0.25, 0.08, 0.001, -0.002, 0.01], dtype=torch.float64)
FISHEYE = torch.tensor([0.06, -0.01, 0.004, -0.001], dtype=torch.float64)


def ring(views: int, distortion: torch.Tensor | None = None, fisheye: bool = False) -> Cameras:
    """Cameras around the origin, exactly rigid in float64."""
    cameras = ring_cameras(views)
    rotation = nearest_rotation(cameras.rotation.double())
    pose = torch.cat([rotation, cameras.translation.double()[..., None]], dim=-1)
    lens = None if distortion is None else distortion.expand(views, -1)
    return Cameras.make(cameras.intrinsics.double(), pose, cameras.size.double(), lens, fisheye)


def cloud(count: int, seed: int) -> torch.Tensor:
    """Points where a person would be: 2 m tall, 2 m wide, on the floor."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    return 2 * spread - torch.tensor([1.0, 1, 0], dtype=torch.float64)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def disturbed(cameras: Cameras, seed: int, degrees: float = 2.0, metres: float = 0.1) -> Cameras:
    """All but the first camera turned and moved."""
    turns, shifts = normal(2, len(cameras), 3, seed=seed)
    turns, shifts = turns.clone(), shifts.clone()
    turns[0], shifts[0] = 0, 0
    rotation = rotation_from_axis_angle(turns * degrees * torch.pi / 180) @ cameras.rotation
    centres = cameras.centres + metres * shifts
    pose = torch.cat([rotation, -rotation @ centres[..., None]], dim=-1)
    return replace(cameras, cam_from_world=pose)


def relative_rotations(cameras: Cameras) -> torch.Tensor:
    return cameras.rotation @ cameras.rotation[0].mT


def longest_baseline(cameras: Cameras) -> torch.Tensor:
    return (cameras.centres - cameras.centres[0]).norm(dim=-1).max()


def in_gauge_of(points: torch.Tensor, cameras: Cameras, target: Cameras) -> torch.Tensor:
    """Points that belong to `cameras`, moved as a whole so that the first camera and the longest
    baseline are those of `target`."""
    local = (points @ cameras.rotation[0].mT + cameras.translation[0]) * (
        longest_baseline(target) / longest_baseline(cameras)
    )
    return (local - target.translation[0]) @ target.rotation[0]


def ones(cameras: Cameras, points: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(cameras), len(points), dtype=torch.float64)


# --- exact data ------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), views=st.integers(2, 5))
@settings(deadline=None, max_examples=15)
def test_exact_data_bring_back_the_truth_up_to_the_gauge(seed, views):
    truth, points = ring(views), cloud(30, seed)
    start = disturbed(truth, seed)
    found = adjust(
        start, points + 0.05 * normal(30, 3, seed=seed + 1), truth.project(points), ones(truth, points)
    )
    assert found.converged
    assert found.rms < 1e-8
    assert rotation_angle(relative_rotations(found.cameras), relative_rotations(truth)).max() < 1e-8
    torch.testing.assert_close(found.points, in_gauge_of(points, truth, found.cameras), rtol=0, atol=1e-8)


def test_gauge_is_the_first_camera_and_its_longest_baseline():
    truth, points = ring(4), cloud(30, 0)
    start = disturbed(truth, 1)
    pixels = truth.project(points) + normal(4, 30, 2, seed=2)
    found = adjust(start, points, pixels, ones(truth, points))
    farthest = (start.centres - start.centres[0]).norm(dim=-1).argmax()
    assert torch.equal(found.cameras.cam_from_world[0], start.cam_from_world[0])
    ours = (found.cameras.centres[farthest] - found.cameras.centres[0]).norm()
    assert ours == pytest.approx(float(longest_baseline(start)), abs=1e-12)
    assert (found.camera_covariance[0] == 0).all()
    along = torch.nn.functional.normalize(found.cameras.centres[farthest] - found.cameras.centres[0], dim=0)
    assert along @ found.centre_covariance[farthest] @ along < 1e-15  # metres²
    assert found.centre_covariance[farthest].diagonal().sum().sqrt() > 1e-4  # metres: not so across


@pytest.mark.parametrize(("distortion", "fisheye"), [(BROWN, False), (FISHEYE, True)])
def test_distorted_pixels_are_understood(distortion, fisheye):
    truth, points = ring(4, distortion, fisheye), cloud(40, 3)
    found = adjust(disturbed(truth, 4), points, truth.project(points), ones(truth, points))
    assert found.rms < 1e-8
    assert rotation_angle(relative_rotations(found.cameras), relative_rotations(truth)).max() < 1e-8
    assert torch.equal(found.cameras.distortion, truth.distortion)


def test_rigs_of_mixed_lenses_are_understood():
    rigs = [ring(3), ring(3, BROWN), ring(3, FISHEYE, fisheye=True)]
    truth, points = Cameras.stack(rig[view] for view, rig in enumerate(rigs)), cloud(40, 5)
    found = adjust(disturbed(truth, 6), points, truth.project(points), ones(truth, points))
    assert found.rms < 1e-8
    assert rotation_angle(relative_rotations(found.cameras), relative_rotations(truth)).max() < 1e-8


@pytest.mark.parametrize("distortion", [None, BROWN])
def test_focal_lengths_five_per_cent_off_are_found(distortion):
    truth, points = ring(4, distortion), cloud(60, 7)
    start = disturbed(truth, 8, degrees=1, metres=0.05)
    off = start.intrinsics.clone()
    off[:, :2, :2] *= torch.tensor([1.05, 0.95, 1.03, 0.97])[:, None, None]
    found = adjust(
        replace(start, intrinsics=off), points, truth.project(points), ones(truth, points), fit_focal=True
    )
    assert found.rms < 1e-7
    torch.testing.assert_close(found.cameras.focal, truth.focal, rtol=1e-7, atol=0)
    assert torch.equal(found.cameras.principal_point, truth.principal_point)
    assert (found.focal_sigma < 1e-7).all()


@pytest.mark.parametrize("fisheye", [False, True])
def test_the_distortion_that_all_lenses_share_is_found(fisheye):
    truth, points = ring(4, FISHEYE if fisheye else BROWN, fisheye=fisheye), cloud(60, 7)
    start = disturbed(truth, 8, degrees=1, metres=0.05)
    wrong = start.distortion.clone()
    wrong[:, 0] += 0.1
    start = replace(start, distortion=wrong)
    found = adjust(start, points, truth.project(points), ones(truth, points), fit_distortion="shared")
    assert found.rms < 1e-7
    torch.testing.assert_close(found.cameras.distortion, truth.distortion, rtol=0, atol=1e-7)
    assert float(found.covariance_of("k1").diagonal().max()) < 1e-12


# --- references ------------------------------------------------------------------------------------


def in_one_vector(cameras: Cameras, points: torch.Tensor) -> torch.Tensor:
    zeros = torch.zeros(len(cameras) - 1, 6, dtype=torch.float64)
    return torch.cat([zeros.flatten(), points.flatten()])


def textbook_residuals(unknowns, start: Cameras, pixels, weights, huber: float | None) -> torch.Tensor:
    """Every residual of a scene whose first camera is fixed, one long vector; its half square is the cost."""
    moves = torch.cat([unknowns.new_zeros(1, 6), unknowns[: 6 * len(start) - 6].view(-1, 6)])
    points = unknowns[6 * len(start) - 6 :].view(-1, 3)
    rotation = rotation_from_axis_angle(moves[:, :3]) @ start.rotation
    pose = torch.cat([rotation, (start.translation + moves[:, 3:])[..., None]], dim=-1)
    residuals = (replace(start, cam_from_world=pose).project(points) - pixels) * weights[..., None]
    if huber is not None:  # shrunk so that half its square is the loss
        length = residuals.square().sum(dim=-1, keepdim=True).clamp(min=huber**2).sqrt()
        residuals = residuals * (2 * huber * length - huber**2).sqrt() / length
    return residuals.flatten()


def least_squares_twin(start, points, pixels, weights, huber) -> tuple[Cameras, torch.Tensor, float]:
    """Dense Jacobian by autograd, solved by scipy: slow, and all there is to bundle adjustment."""
    optimize = pytest.importorskip("scipy.optimize")
    residuals = lambda x: textbook_residuals(torch.from_numpy(x), start, pixels, weights, huber).numpy()  # noqa: E731
    jacobian = lambda x: torch.func.jacrev(  # noqa: E731
        lambda u: textbook_residuals(u, start, pixels, weights, huber)
    )(torch.from_numpy(x)).numpy()  # fmt: skip
    found = optimize.least_squares(
        residuals, in_one_vector(start, points).numpy(), jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    unknowns = torch.from_numpy(found.x)
    moves = torch.cat([unknowns.new_zeros(1, 6), unknowns[: 6 * len(start) - 6].view(-1, 6)])
    rotation = rotation_from_axis_angle(moves[:, :3]) @ start.rotation
    pose = torch.cat([rotation, (start.translation + moves[:, 3:])[..., None]], dim=-1)
    return replace(start, cam_from_world=pose), unknowns[6 * len(start) - 6 :].view(-1, 3), float(found.cost)


@pytest.mark.parametrize("distortion", [None, BROWN])
@pytest.mark.parametrize("huber", [None, 2.0])
def test_equals_dense_least_squares_of_scipy(huber, distortion):
    truth, points = ring(3, distortion), cloud(15, 9)
    start = disturbed(truth, 10, degrees=1, metres=0.03)
    pixels = truth.project(points) + 1.5 * normal(3, 15, 2, seed=11)
    weights = torch.rand(3, 15, generator=torch.Generator().manual_seed(12), dtype=torch.float64) + 0.5
    weights[2, :4] = 0
    found = adjust(start, points, pixels, weights, huber=huber, tolerance=1e-8, iterations=1000)
    twin, twin_points, cost = least_squares_twin(start, points, pixels, weights, huber)
    assert found.cost == pytest.approx(cost, rel=1e-9)
    assert rotation_angle(relative_rotations(found.cameras), relative_rotations(twin)).max() < 1e-6
    torch.testing.assert_close(found.points, in_gauge_of(twin_points, twin, found.cameras), rtol=0, atol=1e-6)


def test_covariance_equals_the_dense_inverse_in_the_gauge():
    truth, points = ring(3), cloud(10, 13)
    pixels = truth.project(points) + normal(3, 10, 2, seed=14)
    found = adjust(truth, points, pixels, ones(truth, points), pixel_sigma=2.0, tolerance=1e-8)
    jacobian = torch.func.jacrev(
        lambda u: textbook_residuals(u, found.cameras, pixels, ones(truth, points), None)
    )(in_one_vector(found.cameras, found.points))
    baseline = lambda u: longest_baseline_after(u, found.cameras)  # noqa: E731
    fixed = torch.func.jacrev(baseline)(in_one_vector(found.cameras, found.points))
    basis = torch.linalg.qr(fixed[:, None], mode="complete").Q[:, 1:]
    dense = 4.0 * basis @ torch.linalg.inv(basis.mT @ jacobian.mT @ jacobian @ basis) @ basis.mT
    torch.testing.assert_close(found.camera_covariance[1], dense[:6, :6], rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(found.camera_covariance[2], dense[6:12, 6:12], rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(found.point_covariance[4], dense[24:27, 24:27], rtol=1e-4, atol=1e-12)


def longest_baseline_after(unknowns, start: Cameras) -> torch.Tensor:
    index = int((start.centres - start.centres[0]).norm(dim=-1).argmax())
    move = unknowns[6 * index - 6 : 6 * index]
    rotation = rotation_from_axis_angle(move[:3]) @ start.rotation[index]
    return (-rotation.mT @ (start.translation[index] + move[3:]) - start.centres[0]).norm()


def pycolmap_adjusted(start: Cameras, points: torch.Tensor, pixels: torch.Tensor) -> Cameras:
    """The same problem for COLMAP; its pixels count from the corner, ours from the centre of a pixel."""
    pycolmap = pytest.importorskip("pycolmap")
    scene = pycolmap.Reconstruction()
    for view in range(len(start)):
        width, height = start.size[view].int().tolist()
        fx, fy = start.focal[view].tolist()
        cx, cy = (start.principal_point[view] + 0.5).tolist()
        scene.add_camera_with_trivial_rig(
            pycolmap.Camera(
                camera_id=view + 1, model="PINHOLE", width=width, height=height, params=[fx, fy, cx, cy]
            )
        )
        image = pycolmap.Image(name=f"{view}", camera_id=view + 1, image_id=view + 1)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(xy) for xy in (pixels[view] + 0.5).numpy()])
        pose = pycolmap.Rigid3d(start.cam_from_world[view].numpy())
        scene.add_image_with_trivial_frame(image, pose)
    for index, point in enumerate(points.numpy()):
        track = pycolmap.Track([pycolmap.TrackElement(view + 1, index) for view in range(len(start))])
        scene.add_point3D(point, track)
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = options.refine_extra_params = options.print_summary = False
    options.ceres.solver_options.gradient_tolerance = 1e-12
    options.ceres.solver_options.function_tolerance = 1e-14
    pycolmap.bundle_adjustment(scene, options)
    poses = [scene.images[view + 1].cam_from_world().matrix() for view in range(len(start))]
    return replace(start, cam_from_world=torch.stack([torch.from_numpy(pose) for pose in poses]))


def test_rotations_equal_pycolmap():
    truth, points = ring(4), cloud(200, 15)
    start = disturbed(truth, 16, degrees=1, metres=0.05)
    pixels = truth.project(points) + 2 * normal(4, 200, 2, seed=17)
    theirs = pycolmap_adjusted(start, points, pixels)
    ours = adjust(start, points, pixels, ones(truth, points)).cameras
    angle = rotation_angle(relative_rotations(ours), relative_rotations(theirs)) * 180 / torch.pi
    assert angle.max() < 1e-4  # degrees; the target is 1e-3


# --- noise and outliers ----------------------------------------------------------------------------


def people_problem(seed: int):
    """What calibration from people meets: 100 instants × 25 joints, poor weights, 8 % outliers."""
    truth, points = ring(4), cloud(2500, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    weights = torch.rand(4, 2500, generator=generator, dtype=torch.float64) * 0.9 + 0.1
    pixels = truth.project(points) + 3 * normal(4, 2500, 2, seed=seed + 2)
    wild = torch.rand(4, 2500, generator=generator, dtype=torch.float64) < 0.08
    pixels = torch.where(wild[..., None], pixels + 80 * normal(4, 2500, 2, seed=seed + 3), pixels)
    return truth, points, pixels, weights


@pytest.mark.parametrize("seed", range(3))
def test_robust_losses_stand_outliers_that_least_squares_does_not(seed):
    truth, points, pixels, weights = people_problem(seed)
    start = disturbed(truth, seed + 20, degrees=4, metres=0.2)
    placed = points + 0.2 * normal(2500, 3, seed=seed + 30)

    def error(**loss: float) -> float:
        found = adjust(start, placed, pixels, weights, covariance=False, **loss)
        assert found.converged
        return float(rotation_angle(relative_rotations(found.cameras), relative_rotations(truth)).max())

    plain, huber, cauchy = error(), error(huber=4.0), error(cauchy=4.0)
    assert huber < 0.5 * plain
    assert cauchy < 0.5 * plain
    assert huber < 0.3 * torch.pi / 180  # its standard deviation is 0.1° to 0.15° with these weights


def test_scatter_of_the_residuals_is_the_noise():
    truth, points = ring(4), cloud(500, 40)
    pixels = truth.project(points) + 2.5 * normal(4, 500, 2, seed=41)
    for loss in ({}, {"huber": 4.0}, {"cauchy": 6.0}):
        found = adjust(truth, points, pixels, ones(truth, points), **loss)
        # the robust formula holds for many observations per unknown; here there are 2.6
        assert found.sigma == pytest.approx(2.5, rel=0.1 if loss else 0.02)


def coverage(distances: torch.Tensor, freedom: int) -> float:
    """Share of squared normalised errors inside the 95 % ellipsoid."""
    limit = {3: 7.814728, 6: 12.591587}[freedom]  # quantiles of χ², scipy.stats.chi2.ppf(0.95, freedom)
    return float((distances < limit).double().mean())


@pytest.mark.parametrize(
    ("options", "outliers", "least"),
    [
        ({"pixel_sigma": 1.5}, 0.0, 0.93),
        ({}, 0.0, 0.93),
        ({"huber": 4.0}, 0.03, 0.90),  # the asymptotic formula is a little too sure of points with an outlier
    ],
    ids=["known noise", "plain", "huber, 3 % outliers"],
)
def test_ninety_five_per_cent_of_truths_lie_in_the_ellipsoid(options, outliers, least):
    # errors in the gauge of the answer, which is the truth's: every trial starts there
    truth, points = ring(4), cloud(30, 50)
    farthest = int((truth.centres - truth.centres[0]).norm(dim=-1).argmax())
    camera_distances, point_distances = [], []
    for trial in range(50):
        pixels = truth.project(points) + 1.5 * normal(4, 30, 2, seed=1000 + trial)
        wild = torch.rand(4, 30, generator=torch.Generator().manual_seed(trial)) < outliers
        pixels = pixels + torch.where(wild[..., None], 60 * normal(4, 30, 2, seed=2000 + trial), 0.0)
        found = adjust(truth, points, pixels, ones(truth, points), **options)
        error = camera_error(found, truth)
        for view in {1, 2, 3} - {farthest}:
            camera_distances.append(
                error[view] @ torch.linalg.solve(found.camera_covariance[view], error[view])
            )
        off = found.points - points
        point_distances.append((off * torch.linalg.solve(found.point_covariance, off)).sum(dim=-1))
    assert least <= coverage(torch.cat(point_distances), 3) <= 0.97
    # 100 cameras: the mean of χ² with 6 degrees of freedom is 6 ± 0.35
    assert torch.stack(camera_distances).mean() == pytest.approx(6.0, abs=1.0)


def camera_error(found: Adjusted, truth: Cameras) -> torch.Tensor:
    """found = exp(ω) truth for small ω; and the difference of the translations."""
    turn = found.cameras.rotation @ truth.rotation.mT
    vector = torch.stack(
        [turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], dim=-1
    )
    return torch.cat([vector / 2, found.cameras.translation - truth.translation], dim=-1)


# --- the scale -------------------------------------------------------------------------------------


def test_a_distance_prior_sets_the_scale_and_its_uncertainty():
    truth, points = ring(4), cloud(100, 60)
    pixels = truth.project(points) + 0.5 * normal(4, 100, 2, seed=61)
    metres = 3 * (points[3] - points[8]).norm()[None]  # the world is three times as large as it started
    prior = DistancePrior(torch.tensor([3]), torch.tensor([8]), metres, 0.02 * metres)
    found = adjust(truth, points, pixels, ones(truth, points), distance_prior=prior)
    scale = longest_baseline(found.cameras) / longest_baseline(truth)
    assert scale == pytest.approx(3.0, rel=0.005)
    assert (found.points[3] - found.points[8]).norm() == pytest.approx(float(metres), rel=1e-4)
    # two per cent of the prior are two per cent of every distance; pixels add little to it
    farthest = int((truth.centres - truth.centres[0]).norm(dim=-1).argmax())
    baseline = found.cameras.centres[farthest] - found.cameras.centres[0]
    along = baseline / baseline.norm()
    sigma = (along @ found.centre_covariance[farthest] @ along).sqrt()
    assert sigma / baseline.norm() == pytest.approx(0.02, rel=0.03)


def test_many_priors_agree_on_a_smaller_uncertainty():
    truth, points = ring(4), cloud(100, 62)
    pixels = truth.project(points) + 0.1 * normal(4, 100, 2, seed=63)
    first, second = torch.arange(0, 64, 4), torch.arange(1, 65, 4)
    exact = (points[first] - points[second]).norm(dim=-1)
    sigmas = 0.05 * exact
    told = exact + sigmas * normal(16, seed=64)
    found = adjust(
        truth, points, pixels, ones(truth, points), distance_prior=DistancePrior(first, second, told, sigmas)
    )
    farthest = int((truth.centres - truth.centres[0]).norm(dim=-1).argmax())
    baseline = found.cameras.centres[farthest] - found.cameras.centres[0]
    sigma = (
        (baseline / baseline.norm()) @ found.centre_covariance[farthest] @ (baseline / baseline.norm())
    ).sqrt()
    assert sigma / baseline.norm() == pytest.approx(0.05 / 4, rel=0.05)  # 5 % over the root of 16
    assert abs(longest_baseline(found.cameras) / longest_baseline(truth) - 1) < 3 * 0.05 / 4


def test_pairs_with_a_lost_point_are_passed_over_and_none_left_is_an_error():
    truth, points = ring(3), cloud(20, 65)
    pixels, weights = truth.project(points), ones(truth, points)
    weights[1:, 0] = 0
    metres = (points[[0, 3]] - points[[1, 4]]).norm(dim=-1) * 2
    prior = DistancePrior(torch.tensor([0, 3]), torch.tensor([1, 4]), metres, metres * 0.01)
    found = adjust(truth, points, pixels, weights, distance_prior=prior)
    assert longest_baseline(found.cameras) == pytest.approx(2 * float(longest_baseline(truth)), rel=1e-6)
    lonely = DistancePrior(torch.tensor([0]), torch.tensor([1]), metres[:1], metres[:1])
    with pytest.raises(ValueError, match=r"none of the 1 pairs of the distance prior .* scale is unknown"):
        adjust(truth, points, pixels, weights, distance_prior=lonely)


# --- what is missing -------------------------------------------------------------------------------


def test_what_was_not_observed_may_be_nan_and_stays_unknown():
    truth, points = ring(4), cloud(60, 70)
    pixels = truth.project(points)
    weights = (
        torch.rand(4, 60, generator=torch.Generator().manual_seed(71), dtype=torch.float64) > 0.3
    ).double()
    weights[1:, 5] = 0  # seen once
    weights[:, 6] = 0  # never seen
    pixels = torch.where(weights[..., None] > 0, pixels, torch.nan)
    start = points + 0.05 * normal(60, 3, seed=72)
    start[6] = torch.nan
    found = adjust(disturbed(truth, 73), start, pixels, weights)
    held = (weights > 0).sum(dim=0) >= 2
    assert found.rms < 1e-8
    assert torch.equal(found.points.isfinite().all(dim=-1), held)
    assert torch.equal(found.point_covariance.isfinite().all(dim=-1).all(dim=-1), held)
    assert torch.equal(found.residuals.isfinite(), (weights > 0) & held)


def test_a_point_that_starts_behind_a_camera_does_not_spoil_the_rest():
    truth, points = ring(4), cloud(60, 74)
    start = points.clone()
    start[0] = truth.centres[1] - 3 * truth.rotation[1, 2]  # behind camera 1
    found = adjust(disturbed(truth, 75), start, truth.project(points), ones(truth, points))
    assert rotation_angle(relative_rotations(found.cameras), relative_rotations(truth)).max() < 1e-3
    assert found.points[1:].isfinite().all()


def test_answers_have_the_type_of_the_cameras_and_no_gradient():
    truth, points = ring(3), cloud(20, 76).requires_grad_()
    fields = (truth.intrinsics, truth.cam_from_world, truth.size, truth.distortion)
    cameras = Cameras(*(field.float() for field in fields), truth.fisheye)
    found = adjust(cameras, points.float(), truth.project(points).float(), ones(truth, points).float())
    for field in (
        found.points,
        found.cameras.cam_from_world,
        found.camera_covariance,
        found.point_covariance,
    ):
        assert field.dtype == torch.float32
        assert not field.requires_grad


def test_the_limit_of_iterations_is_reported_and_covariance_can_be_left_out():
    truth, points = ring(3), cloud(20, 77)
    found = adjust(
        disturbed(truth, 78),
        points,
        truth.project(points),
        ones(truth, points),
        iterations=1,
        covariance=False,
    )
    assert (found.iterations, found.converged) == (1, False)
    assert found.point_covariance is None


def test_what_is_not_determined_has_no_covariance():
    truth = ring(2)
    along = torch.linspace(0, 1, 12, dtype=torch.float64)[:, None]
    line = along * torch.tensor([[0.5, 0.2, 1.0]], dtype=torch.float64)  # points on one line say too little
    found = adjust(truth, line, truth.project(line), ones(truth, line), pixel_sigma=1.0)
    assert found.camera_covariance[1].isnan().all()
    assert found.point_covariance.isnan().all()


def test_two_losses_or_a_threshold_that_is_none_are_refused():
    truth, points = ring(3), cloud(20, 79)
    given = (truth, points, truth.project(points), ones(truth, points))
    with pytest.raises(ValueError, match=r"huber=2\.0 and cauchy=3\.0 are two losses"):
        adjust(*given, huber=2.0, cauchy=3.0)
    with pytest.raises(ValueError, match=r"threshold must be positive \(pixels\), got 0\.0"):
        adjust(*given, huber=0.0)
