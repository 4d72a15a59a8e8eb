import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.geometry.epipolar.relative_pose import (
    decompose_essential,
    eight_point,
    essential_from_pose,
    fundamental_from_projections,
    nearest_essential,
    relative_pose_from_essential,
    robust_relative_pose,
    sampson_distance,
)
from coview.geometry.rotations import rotation_angle, rotation_from_axis_angle

seeds = st.integers(0, 2**31)
FOCAL = 1600.0  # pixels; what a threshold in normalised units is divided by


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_pose(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    translation = random(3, seed=seed + 1)
    return rotation_from_axis_angle(0.5 * random(3, seed=seed)), translation / translation.norm()


def seen(points: torch.Tensor) -> torch.Tensor:
    return points[..., :2] / points[..., 2:]


def two_views(seed: int, count: int = 40):
    """Points in front of two poses: normalised coordinates and the pose b-from-a, unit baseline."""
    rotation, shift = some_pose(seed)
    middle = torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64)
    points = middle + random(count, 3, seed=seed + 2).clamp(-2, 2)
    translation = middle - rotation @ middle + shift  # turned about the middle of the points
    b = seen(points @ rotation.mT + translation)
    return seen(points), b, rotation, translation / translation.norm()


def person_between_cameras(seed: int, frames: int = 40, sigma: float = 0.0, wrong: float = 0.0):
    """25 joints of somebody walking, from two cameras 5 m away; noise in pixels, a share off by 100."""
    walk = torch.cumsum(0.15 * random(frames, 1, 3, seed=seed), dim=0) * torch.tensor([1.0, 1, 0]).double()
    size = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64)
    points = (walk - walk.mean(dim=0) + size * random(frames, 25, 3, seed=seed + 1)).reshape(-1, 3)
    poses = [looking_in(0.7 * seed), looking_in(0.7 * seed + 1.2)]
    noise = sigma / FOCAL * random(2, len(points), 2, seed=seed + 2)
    a, b = (seen(points @ r.mT + t) + n for (r, t), n in zip(poses, noise, strict=True))
    off = torch.arange(len(a)) < wrong * len(a)
    a = a + torch.where(off[:, None], 100 / FOCAL * random(len(a), 2, seed=seed + 3), 0.0)
    rotation = poses[1][0] @ poses[0][0].mT
    translation = poses[1][1] - rotation @ poses[0][1]
    return a, b, rotation, translation / translation.norm(), off


def looking_in(angle: float) -> tuple[torch.Tensor, torch.Tensor]:
    """World to camera for a camera on a ring of 5 m that looks at the centre, z up."""
    centre = torch.tensor([5 * math.cos(angle), 5 * math.sin(angle), 0.5], dtype=torch.float64)
    forward = -centre / centre.norm()
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    right = right / right.norm()
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    return rotation, -rotation @ centre


def ones(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.float64)


def degrees_off(rotation, translation, true_rotation, true_translation) -> tuple[float, float]:
    turn = rotation_angle(rotation, true_rotation)
    return float(turn.rad2deg()), float((translation @ true_translation).clamp(-1, 1).arccos().rad2deg())


def assert_same_up_to_scale(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-9) -> None:
    found, expected = found / found.norm(), expected / expected.norm()
    sign = (found * expected).sum().sign()
    torch.testing.assert_close(sign * found, expected, atol=atol, rtol=0)


# --- distances ------------------------------------------------------------------------------------


def test_sampson_reference_value():
    # By hand: the second camera stands one baseline to the right, so lines are rows: b̃ᵀ[t]×ã = y_a - y_b
    # up to sign. Pairs on one row fit; 0.2 apart in y each point moves by half, and the pair, as one
    # point of four dimensions, by 0.2/√2.
    essential = essential_from_pose(torch.eye(3), torch.tensor([-1.0, 0.0, 0.0]))
    a, b = torch.tensor([[0.3, 0.1], [0.3, 0.1]]), torch.tensor([[-0.5, 0.1], [0.2, 0.3]])
    torch.testing.assert_close(sampson_distance(essential, a, b), torch.tensor([0.0, 0.2 / math.sqrt(2)]))


@given(seed=seeds)
@settings(deadline=None)
def test_sampson_as_opencv_has_it(seed):
    matrix, a, b = random(3, 3, seed=seed), random(5, 2, seed=seed + 1), random(5, 2, seed=seed + 2)
    theirs = [cv2.sampsonDistance(homogeneous(p), homogeneous(q), matrix.numpy()) for p, q in zip(a, b)]  # noqa: B905
    ours = sampson_distance(matrix, a, b)
    torch.testing.assert_close(ours.square(), torch.tensor(theirs, dtype=torch.float64))


def homogeneous(point: torch.Tensor) -> np.ndarray:
    return np.append(point.numpy(), 1.0)


@given(seed=seeds)
@settings(deadline=None)
def test_sampson_is_nearly_the_true_distance(seed):
    # The exact one moves both points until they fit; OpenCV's optimal triangulation does [HZ04 §12.5].
    a, b, rotation, translation = two_views(seed, count=20)
    essential = essential_from_pose(rotation, translation)
    a, b = a + 1e-3 * random(20, 2, seed=seed), b + 1e-3 * random(20, 2, seed=seed + 9)
    exact = cv2.correctMatches(essential.numpy(), a[None].numpy(), b[None].numpy())
    moved = [np.square(new[0] - old.numpy()).sum(axis=-1) for new, old in zip(exact, (a, b), strict=True)]
    true = torch.from_numpy(np.sqrt(sum(moved)))
    torch.testing.assert_close(sampson_distance(essential, a, b), true, atol=2e-5, rtol=0.02)


def test_sampson_is_the_same_from_both_sides():
    matrix, a, b = random(4, 3, 3), random(4, 7, 2, seed=1), random(4, 7, 2, seed=2)
    torch.testing.assert_close(sampson_distance(matrix, a, b), sampson_distance(matrix.mT, b, a))
    torch.testing.assert_close(sampson_distance(-3 * matrix, a, b), sampson_distance(matrix, a, b))


def test_gradient_of_sampson_whatever_is_missing():
    inputs = [random(3, 3), random(6, 2, seed=1), random(6, 2, seed=2)]
    assert torch.autograd.gradcheck(sampson_distance, tuple(each.requires_grad_() for each in inputs))
    essential = essential_from_pose(torch.eye(3), torch.tensor([0.0, 0.0, 1.0])).requires_grad_()
    a = torch.tensor([[0.0, 0.0], [torch.nan, 0.0], [0.1, 0.2]])  # the first is the epipole
    distance = sampson_distance(essential, a, a.roll(1, 0).nan_to_num(0.0))
    assert distance.isnan().tolist() == [False, True, False]
    distance.nansum().backward()
    assert essential.grad.isfinite().all()


# --- matrices from cameras ------------------------------------------------------------------------


@given(seed=seeds)
@settings(deadline=None)
def test_fundamental_of_calibrated_cameras_is_kt_e_k(seed):
    rotation, translation = some_pose(seed)
    ka, kb = (torch.eye(3).double() + 0.1 * random(3, 3, seed=seed + i).triu() for i in (3, 4))
    pose = torch.cat([rotation, translation[:, None]], dim=1)
    found = fundamental_from_projections(ka @ torch.eye(3, 4).double(), kb @ pose)
    textbook = kb.inverse().mT @ essential_from_pose(rotation, translation) @ ka.inverse()  # [HZ04 9.12]
    assert_same_up_to_scale(found, textbook)
    assert found.norm() == pytest.approx(1)


@given(seed=seeds)
@settings(deadline=None)
def test_fundamental_fits_what_both_cameras_see(seed):
    cameras = random(2, 3, 4, seed=seed)  # any projections, also affine ones
    cameras[1, 2, :3] *= seed % 2
    points = torch.nn.functional.pad(random(10, 3, seed=seed + 1), (0, 1), value=1.0)
    a, b = (points @ camera.mT for camera in cameras)
    miss = ((b @ fundamental_from_projections(*cameras)) * a).sum(dim=-1)
    torch.testing.assert_close(miss / (a.norm(dim=-1) * b.norm(dim=-1)), torch.zeros(10).double())


def test_fundamental_broadcasts_and_has_a_gradient():
    one, many = random(3, 4), random(5, 3, 4, seed=1)
    together = fundamental_from_projections(one, many)
    torch.testing.assert_close(together[3], fundamental_from_projections(one, many[3]))
    inputs = one.requires_grad_(), many[0].requires_grad_()
    assert torch.autograd.gradcheck(fundamental_from_projections, inputs)
    assert torch.autograd.gradcheck(essential_from_pose, (random(3, 3).requires_grad_(), random(3)))


@given(seed=seeds)
@settings(deadline=None)
def test_essential_goes_round(seed):
    rotation, translation = some_pose(seed)
    essential = essential_from_pose(rotation, translation)
    rotations, translations = decompose_essential(-3 * essential)
    torch.testing.assert_close(torch.linalg.det(rotations), ones(4))
    off = [degrees_off(r, t, rotation, translation) for r, t in zip(rotations, translations, strict=True)]
    assert sum(max(pair) < 1e-5 for pair in off) == 1  # one of the four is ours, the others are not
    for r, t in zip(rotations, translations, strict=True):
        assert_same_up_to_scale(essential_from_pose(r, t), essential)
    theirs = cv2.decomposeEssentialMat(essential.numpy())
    for matrix in theirs[:2]:
        assert float(rotation_angle(rotations, torch.from_numpy(matrix)).amin()) < 1e-6


def test_nearest_essential_has_two_equal_singular_values():
    left, right = (rotation_from_axis_angle(random(3, seed=seed)) for seed in (0, 1))
    matrix = left @ torch.diag(torch.tensor([3.0, 2.0, 0.1]).double()) @ right
    found = nearest_essential(matrix)
    # [HZ04 §11.7.3]: diag(a, b, c) becomes diag(1, 1, 0), here of unit norm
    expected = left @ torch.diag(torch.tensor([1.0, 1.0, 0.0]).double()) @ right / math.sqrt(2)
    torch.testing.assert_close(found, expected)


# --- eight points ---------------------------------------------------------------------------------


def textbook_eight_point(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[HZ04 algorithm 11.1] with its isotropic scaling, one pair at a time."""

    def normalising(points):
        centre = points.mean(axis=0)
        s = math.sqrt(2 / np.square(points - centre).sum(axis=1).mean())
        return np.array([[s, 0, -s * centre[0]], [0, s, -s * centre[1]], [0, 0, 1]])

    ta, tb = normalising(a), normalising(b)
    rows = []
    for p, q in zip(a, b, strict=True):
        x, y, _ = ta @ [*p, 1]
        u, v, _ = tb @ [*q, 1]
        rows.append([u * x, u * y, u, v * x, v * y, v, x, y, 1])
    matrix = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    u, s, vt = np.linalg.svd(matrix)
    matrix = tb.T @ (u @ np.diag([s[0], s[1], 0]) @ vt) @ ta
    return matrix / np.linalg.norm(matrix)


@given(seed=seeds, count=st.integers(8, 30))
@settings(deadline=None)
def test_eight_point_as_in_the_textbook(seed, count):
    a, b, *_ = two_views(seed, count)
    b = b + 0.01 * random(count, 2, seed=seed)
    found = eight_point(a, b, ones(count))
    assert_same_up_to_scale(found, torch.from_numpy(textbook_eight_point(a.numpy(), b.numpy())), atol=1e-5)
    assert torch.linalg.svdvals(found)[2] < 1e-12


def test_eight_point_on_exact_pixels_in_float32():
    a, b, rotation, translation = two_views(5)
    pixels_a, pixels_b = FOCAL * a.float() + 500, FOCAL * b.float() + 500
    found = eight_point(pixels_a, pixels_b, torch.ones(40))
    assert found.dtype == torch.float32
    assert sampson_distance(found, pixels_a, pixels_b).max() < 0.01
    matrix = torch.tensor([[FOCAL, 0, 500], [0, FOCAL, 500], [0, 0, 1]])
    essential = nearest_essential(matrix.mT @ found @ matrix)
    pose = relative_pose_from_essential(essential, a.float(), b.float(), torch.ones(40))
    assert max(degrees_off(pose.rotation.double(), pose.translation.double(), rotation, translation)) < 0.05


def test_weights_are_repetitions_and_nought_is_absence():
    a, b, *_ = two_views(6, 12)
    b = b + 0.01 * random(12, 2)
    weights = torch.tensor([1.0, 2, 0, 1, 1, 3, 1, 1, 1, 1, 1, 1], dtype=torch.float64)
    a_holes, b_holes = a.clone(), b.clone()
    a_holes[2], b_holes[2] = torch.nan, torch.inf
    repeated = torch.repeat_interleave(torch.arange(12), weights.long())
    expected = eight_point(a[repeated], b[repeated], ones(len(repeated)))
    a_holes.requires_grad_()
    found = eight_point(a_holes, b_holes, weights)
    assert_same_up_to_scale(found.detach(), expected)
    found.sum().backward()
    assert a_holes.grad.isfinite().all()


def test_gradient_of_eight_point():
    a, b, *_ = two_views(7, 10)
    b = b + 0.01 * random(10, 2)
    inputs = tuple(each.requires_grad_() for each in (a, b, ones(10)))
    assert torch.autograd.gradcheck(eight_point, inputs)


def test_seven_points_or_a_nan_spoil_only_their_own():
    a, b = (random(3, 10, 2, seed=seed) for seed in (1, 2))
    weights = torch.ones(3, 10, dtype=torch.float64)
    weights[0, 7:] = 0
    a[1, 0] = torch.nan
    a.requires_grad_()
    found = eight_point(a, b, weights)
    assert found.isnan().all(dim=-1).all(dim=-1).tolist() == [True, True, False]
    found[2].sum().backward()
    assert a.grad[[0, 2]].isfinite().all()


# --- the pose behind an essential matrix ----------------------------------------------------------


@given(seed=seeds)
@settings(deadline=None)
def test_cheirality_finds_the_pose(seed):
    a, b, rotation, translation = two_views(seed)
    pose = relative_pose_from_essential(-essential_from_pose(rotation, translation), a, b, ones(40))
    assert max(degrees_off(pose.rotation, pose.translation, rotation, translation)) < 1e-4
    assert pose.in_front == 1
    assert pose.inliers.all()


def test_recover_pose_of_opencv_agrees():
    a, b, rotation, translation = two_views(3)
    essential = essential_from_pose(rotation, translation)
    pose = relative_pose_from_essential(essential, a, b, ones(40))
    _, r, t, _ = cv2.recoverPose(essential.numpy(), a.numpy(), b.numpy())
    assert max(degrees_off(pose.rotation, pose.translation, *map(torch.from_numpy, (r, t[:, 0])))) < 1e-5


def test_a_vote_needs_weight_and_a_small_distance():
    a, b, rotation, translation = two_views(4)
    essential, weights = essential_from_pose(rotation, translation), ones(40)
    b, weights = b.clone(), weights.clone()
    b[:5] += 0.3
    weights[5] = 0
    a[6] = torch.nan
    pose = relative_pose_from_essential(essential, a, b, weights, threshold=1e-6)
    assert pose.inliers.tolist() == [False] * 7 + [True] * 33
    nothing = relative_pose_from_essential(essential, a, b, torch.zeros_like(weights))
    assert math.isnan(nothing.in_front)


# --- the robust estimator -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_exact_pairs_give_the_exact_pose(seed):
    a, b, rotation, translation, _ = person_between_cameras(seed)
    pose = robust_relative_pose(a, b, ones(len(a)), threshold=4 / FOCAL)
    assert max(degrees_off(pose.rotation, pose.translation, rotation, translation)) < 1e-5
    assert pose.inliers.all()
    assert pose.in_front == 1


@pytest.mark.parametrize(("sigma", "wrong"), [(3.0, 0.1), (6.0, 0.4)])
def test_noisy_pairs_as_well_as_poselib(sigma, wrong):
    poselib = pytest.importorskip("poselib")
    camera = {"model": "SIMPLE_PINHOLE", "width": 1, "height": 1, "params": [FOCAL, 0.0, 0.0]}
    ours, theirs = [], []
    for seed in range(3):
        a, b, rotation, translation, off = person_between_cameras(seed, sigma=sigma, wrong=wrong)
        pose = robust_relative_pose(a, b, ones(len(a)), threshold=4 * sigma / FOCAL)
        ours.append(degrees_off(pose.rotation, pose.translation, rotation, translation))
        assert pose.inliers[~off].double().mean() > 0.98
        pixels = (FOCAL * a).numpy(), (FOCAL * b).numpy()
        found, _ = poselib.estimate_relative_pose(
            *pixels, camera, camera, {"max_epipolar_error": 4 * sigma}, {}
        )
        turn, shift = torch.from_numpy(found.R), torch.from_numpy(found.t / np.linalg.norm(found.t))
        theirs.append(degrees_off(turn, shift, rotation, translation))
    assert np.mean(ours) < 1.2 * np.mean(theirs) + 0.1
    assert np.max(ours) < 0.7 * sigma  # degrees


def test_opencv_agrees_on_clean_noisy_pairs():
    a, b, rotation, translation, _ = person_between_cameras(1, sigma=2.0)
    pose = robust_relative_pose(a, b, ones(len(a)), threshold=8 / FOCAL)
    options = {"method": cv2.RANSAC, "prob": 0.9999, "threshold": 8 / FOCAL}
    essential, _ = cv2.findEssentialMat(a.numpy(), b.numpy(), np.eye(3), **options)
    _, r, t, _ = cv2.recoverPose(essential, a.numpy(), b.numpy())
    opencv = degrees_off(torch.from_numpy(r), torch.from_numpy(t[:, 0]), rotation, translation)
    ours = degrees_off(pose.rotation, pose.translation, rotation, translation)
    assert ours[0] < opencv[0] + 0.2
    assert ours[1] < opencv[1] + 0.2


def test_no_neighbour_of_the_answer_has_a_lower_cost():
    a, b, *_ = person_between_cameras(2, sigma=5.0, wrong=0.2)
    threshold = 20 / FOCAL
    pose = robust_relative_pose(a, b, ones(len(a)), threshold=threshold)

    def cost(rotation, translation):  # truncated squares, in the textbook's form
        distance = sampson_distance(essential_from_pose(rotation, translation), a, b)
        return distance.square().clamp_max(threshold**2).sum(dim=-1)

    best = cost(pose.rotation, pose.translation)
    for size in (1e-2, 1e-3, 1e-4):
        turned = rotation_from_axis_angle(size * random(40, 3, seed=1)) @ pose.rotation
        moved = pose.translation + size * random(40, 3, seed=2)
        assert (cost(turned, moved) >= best * (1 - 1e-7)).all()


def test_the_same_seed_gives_the_same_pose_and_any_seed_the_same_optimum():
    a, b, *_ = person_between_cameras(3, sigma=4.0, wrong=0.2)
    first, again, other = (
        robust_relative_pose(a, b, ones(len(a)), threshold=16 / FOCAL, seed=seed) for seed in (0, 0, 1)
    )
    torch.testing.assert_close(first.rotation, again.rotation, atol=0, rtol=0)
    torch.testing.assert_close(first.rotation, other.rotation, atol=1e-6, rtol=0)


def test_swapping_the_views_inverts_the_pose():
    a, b, *_ = person_between_cameras(4, sigma=2.0)
    there = robust_relative_pose(a, b, ones(len(a)), threshold=8 / FOCAL)
    back = robust_relative_pose(b, a, ones(len(a)), threshold=8 / FOCAL)
    torch.testing.assert_close(back.rotation, there.rotation.mT, atol=1e-6, rtol=0)
    torch.testing.assert_close(back.translation, -there.rotation.mT @ there.translation, atol=1e-6, rtol=0)


def test_missing_pairs_are_ignored_in_float32():
    a, b, rotation, translation, _ = person_between_cameras(5, sigma=1.0)
    weights = torch.ones(len(a))
    weights[::3] = 0
    a[::3] = torch.nan
    b[1::3] = torch.nan
    pose = robust_relative_pose(a.float(), b.float(), weights, threshold=4 / FOCAL)
    assert pose.rotation.dtype == torch.float32
    assert not pose.inliers[::3].any()
    assert not pose.inliers[1::3].any()
    off = degrees_off(pose.rotation.double(), pose.translation.double(), rotation, translation)
    assert max(off) < 0.7


def test_few_pairs_are_refused():
    a = random(100, 2)
    weights = torch.zeros(100, dtype=torch.float64)
    weights[:5] = 1
    with pytest.raises(ValueError, match=r"5 of 100 pairs .* at least 6 are needed .* Use more frames"):
        robust_relative_pose(a, a, weights, threshold=0.01)


def test_pairs_that_say_nothing_are_refused():
    with pytest.raises(ValueError, match=r"none of 512 samples .* Do all points of a view coincide"):
        robust_relative_pose(torch.zeros(9, 2), torch.zeros(9, 2), torch.ones(9), threshold=0.01)


def test_views_from_one_centre_show_in_the_share_in_front():
    a = 0.3 * random(200, 2)
    pose = robust_relative_pose(a, a + 1e-3 * random(200, 2, seed=1), ones(200), threshold=0.01)
    assert float(rotation_angle(pose.rotation, torch.eye(3).double())) < 0.05
    assert pose.in_front < 0.8


def test_real_detections_of_a_person_calibrate_its_cameras(shared_data):
    # ../shared/data/pose2sim_single: four cameras, 100 frames of one person on a beam. Qualisys' own
    # poses leave 8-17 px on these videos, hence degrees; poselib is within 0.6° of the same answers.
    arrays = np.load(shared_data / "pose2sim_single" / "balancing" / "balancing_arrays.npz")
    joints, matrix, turn, shift = (torch.from_numpy(arrays[k]).double() for k in ("kp2d", "K", "R", "t"))
    focal = torch.stack([matrix[:, 0, 0], matrix[:, 1, 1]], dim=-1)
    flat = ((joints[..., :2] - matrix[:, None, None, :2, 2]) / focal[:, None, None]).flatten(1, 2)
    for i, j in ((0, 1), (1, 2), (2, 3)):
        weights = torch.minimum(joints[i, ..., 2], joints[j, ..., 2]).flatten()
        weights = torch.where(weights > 0.2, weights, 0.0)
        pose = robust_relative_pose(flat[i], flat[j], weights, threshold=25 / 1675)
        rotation = turn[j] @ turn[i].mT
        baseline = shift[j].flatten() - rotation @ shift[i].flatten()
        off = degrees_off(pose.rotation, pose.translation, rotation, baseline / baseline.norm())
        assert max(off) < 5.0
        assert pose.in_front > 0.99
