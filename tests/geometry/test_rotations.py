import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from coview.geometry.rotations import (
    average_rotations,
    axis_angle_from_rotation,
    check_rotation,
    nearest_rotation,
    quaternion_wxyz_from_rotation,
    rotation_angle,
    rotation_from_axis_angle,
    rotation_from_quaternion_wxyz,
    rotation_from_six_d,
    six_d_from_rotation,
    skew,
)

seeds = st.integers(0, 2**31)
# from far below the square root of the rounding up to a half turn, where formulas change or fail
angles = st.one_of(
    st.floats(0, math.pi),
    st.sampled_from([0.0, 1e-300, 1e-12, 1e-8, 0.0099, 0.0101, math.pi - 1e-7, math.pi]),
)
EYE = torch.eye(3, dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turned(seed: int, angle: float) -> torch.Tensor:
    axis = random(3, seed=seed)
    return axis / axis.norm() * angle


def rotations(count: int, seed: int = 0) -> torch.Tensor:
    return rotation_from_quaternion_wxyz(random(count, 4, seed=seed))


def assert_rotation(matrix: torch.Tensor) -> None:
    torch.testing.assert_close(matrix.mT @ matrix, EYE.expand_as(matrix), atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones_like(matrix[..., 0, 0]))


# --- axis-angle -----------------------------------------------------------------------------------


@given(seed=seeds, angle=angles)
@settings(deadline=None)
def test_axis_angle_is_the_matrix_exponential(seed, angle):
    vector = turned(seed, angle)
    rotation = rotation_from_axis_angle(vector)
    exact = torch.from_numpy(expm(skew(vector).numpy()))  # torch's own is off by 2e-11
    torch.testing.assert_close(rotation, exact, atol=1e-14, rtol=1e-13)
    assert_rotation(rotation)


@given(seed=seeds, angle=st.one_of(st.floats(0, 3.14), st.sampled_from([1e-300, 1e-8, math.pi - 1e-7])))
@settings(deadline=None)
def test_axis_angle_goes_round(seed, angle):
    vector = turned(seed, angle)
    again = axis_angle_from_rotation(rotation_from_axis_angle(vector))
    torch.testing.assert_close(again, vector, atol=1e-14, rtol=1e-9)


@given(seed=seeds, angle=angles)
@settings(deadline=None)
def test_logarithm_equals_scipy(seed, angle):
    rotation = rotation_from_axis_angle(turned(seed, angle))
    ours = rotation_from_axis_angle(axis_angle_from_rotation(rotation))
    theirs = Rotation.from_matrix(rotation.numpy())
    torch.testing.assert_close(ours, torch.from_numpy(theirs.as_matrix()), atol=1e-12, rtol=0)
    assert axis_angle_from_rotation(rotation).norm() == pytest.approx(theirs.magnitude(), abs=1e-7)


def test_axis_angle_reference_value():
    # By hand: a quarter turn about z takes x to y and y to -x.
    quarter = rotation_from_axis_angle(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    expected = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(quarter, expected)


def test_a_half_turn_has_one_of_its_two_axes():
    half = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))
    vector = axis_angle_from_rotation(half)
    torch.testing.assert_close(vector.abs(), torch.tensor([0, math.pi, 0], dtype=torch.float64))


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.0099, 0.0101, 1.0, 3.1])
def test_gradients_of_axis_angle(angle):
    vector = turned(3, angle).requires_grad_()
    assert torch.autograd.gradcheck(rotation_from_axis_angle, vector)
    assert torch.autograd.gradgradcheck(rotation_from_axis_angle, vector)
    rotation = rotation_from_axis_angle(vector).detach().requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_from_rotation, rotation)


def test_gradient_at_no_rotation_is_finite_in_float32():
    vector = torch.zeros(5, 3, requires_grad=True)
    axis_angle_from_rotation(rotation_from_axis_angle(vector)).sum().backward()
    torch.testing.assert_close(vector.grad, torch.ones(5, 3))  # the two maps cancel


def test_gradient_at_a_half_turn_is_finite():
    rotation = torch.diag(torch.tensor([-1.0, 1.0, -1.0])).requires_grad_()
    axis_angle_from_rotation(rotation).sum().backward()
    assert rotation.grad.isfinite().all()


# --- 6D -------------------------------------------------------------------------------------------


@given(seed=seeds)
@settings(deadline=None)
def test_six_d_goes_round_at_any_size(seed):
    rotation = rotations(4, seed)
    code = six_d_from_rotation(rotation)
    torch.testing.assert_close(rotation_from_six_d(7 * code), rotation)
    assert_rotation(rotation_from_six_d(random(4, 6, seed=seed)))


def test_six_d_holds_the_first_two_columns():
    rotation = torch.arange(9.0).reshape(3, 3)
    assert six_d_from_rotation(rotation).tolist() == [0, 3, 6, 1, 4, 7]
    # By hand: x kept, (1, 2, 0) loses its x part, z completes the right-handed triple.
    made = rotation_from_six_d(torch.tensor([3.0, 0, 0, 1, 2, 0]))
    torch.testing.assert_close(made, torch.eye(3))


def test_gradient_of_six_d():
    assert torch.autograd.gradcheck(rotation_from_six_d, random(3, 6).requires_grad_())


def test_parallel_six_d_is_nan():
    assert rotation_from_six_d(torch.zeros(6)).isnan().any()


# --- quaternions ----------------------------------------------------------------------------------


@given(seed=seeds, size=st.floats(0.1, 10))
@settings(deadline=None)
def test_quaternion_goes_round(seed, size):
    quaternion = random(6, 4, seed=seed)
    unit = quaternion / quaternion.norm(dim=-1, keepdim=True)
    unit = torch.where(unit[:, :1] < 0, -unit, unit)
    rotation = rotation_from_quaternion_wxyz(size * quaternion)
    assert_rotation(rotation)
    torch.testing.assert_close(quaternion_wxyz_from_rotation(rotation), unit, atol=1e-12, rtol=0)


@given(seed=seeds)
@settings(deadline=None)
def test_quaternion_equals_scipy(seed):
    quaternion = random(6, 4, seed=seed)
    theirs = Rotation.from_quat(quaternion.numpy()[:, [1, 2, 3, 0]])  # scipy keeps the real part last
    torch.testing.assert_close(
        rotation_from_quaternion_wxyz(quaternion), torch.from_numpy(theirs.as_matrix())
    )


@pytest.mark.parametrize("axis", range(4))
def test_quaternion_at_every_branch(axis):
    quaternion = torch.zeros(4, dtype=torch.float64)
    quaternion[axis] = 1.0  # w: no rotation; the others: half turns, where w is 0
    rotation = rotation_from_quaternion_wxyz(quaternion).requires_grad_()
    found = quaternion_wxyz_from_rotation(rotation)
    torch.testing.assert_close(found, quaternion)
    found.sum().backward()
    assert rotation.grad.isfinite().all()


def test_gradients_of_quaternions():
    assert torch.autograd.gradcheck(rotation_from_quaternion_wxyz, random(3, 4).requires_grad_())
    assert torch.autograd.gradcheck(quaternion_wxyz_from_rotation, rotations(3).requires_grad_())


def test_the_zero_quaternion_is_no_rotation():
    assert rotation_from_quaternion_wxyz(torch.zeros(4)).isnan().all()


# --- angles ---------------------------------------------------------------------------------------


@given(seed=seeds, angle=angles)
@settings(deadline=None)
def test_angle_is_accurate_everywhere(seed, angle):
    start = rotations(1, seed)[0]
    end = start @ rotation_from_axis_angle(turned(seed, angle))
    assert float(rotation_angle(start, end)) == pytest.approx(angle, abs=3e-15, rel=1e-12)


@given(seed=seeds)
@settings(deadline=None)
def test_angle_is_a_metric_that_rotations_keep(seed):
    a, b, c = rotations(3, seed)
    assert rotation_angle(a, b) == pytest.approx(float(rotation_angle(b, a)))
    assert rotation_angle(a, c) <= rotation_angle(a, b) + rotation_angle(b, c) + 1e-12
    torch.testing.assert_close(rotation_angle(c @ a, c @ b), rotation_angle(a, b))
    arccosine = torch.arccos(((a.mT @ b).trace() - 1) / 2)  # the textbook's form
    torch.testing.assert_close(rotation_angle(a, b), arccosine, atol=1e-7, rtol=1e-7)


def test_small_angles_survive_float32():
    small = rotation_from_axis_angle(torch.tensor([1e-5, 0.0, 0.0]))
    torch.testing.assert_close(rotation_angle(torch.eye(3), small), torch.tensor(1e-5), rtol=1e-4, atol=0)


def test_gradient_of_the_angle():
    assert torch.autograd.gradcheck(rotation_angle, tuple(rotations(2).requires_grad_().unbind(0)))
    same = torch.eye(3, requires_grad=True)
    rotation_angle(torch.eye(3), same).backward()
    assert same.grad.isfinite().all()


# --- the group ------------------------------------------------------------------------------------


@given(seed=seeds)
@settings(deadline=None)
def test_products_and_inverses_are_rotations(seed):
    a, b = rotations(2, seed)
    assert_rotation(a @ b)
    torch.testing.assert_close(a @ a.mT, EYE)
    vector = axis_angle_from_rotation(a)
    torch.testing.assert_close(rotation_from_axis_angle(-vector), a.mT)
    # conjugation turns the axis: R exp(v) Rᵀ = exp(R v)
    torch.testing.assert_close(b @ a @ b.mT, rotation_from_axis_angle(b @ vector), atol=1e-12, rtol=0)


def test_skew_is_the_cross_product():
    a, b = random(2, 5, 3)
    torch.testing.assert_close((skew(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))


# --- nearest rotation -----------------------------------------------------------------------------


def textbook_nearest(matrix: torch.Tensor) -> torch.Tensor:
    """[Umeyama91] lemma, as printed: U diag(1, 1, det(U) det(V)) Vᵀ."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.stack([torch.tensor(1.0), torch.tensor(1.0), torch.linalg.det(u @ vt)]).to(matrix)
    return u @ torch.diag(sign) @ vt


@given(seed=seeds)
@settings(deadline=None)
def test_nearest_rotation_beats_all_others(seed):
    matrix = random(3, 3, seed=seed)  # of either handedness
    nearest = nearest_rotation(matrix)
    assert_rotation(nearest)
    torch.testing.assert_close(nearest, textbook_nearest(matrix), atol=1e-9, rtol=0)
    around = nearest @ rotation_from_axis_angle(0.1 * random(50, 3, seed=seed))
    others = torch.cat([rotations(50, seed), around])
    assert ((nearest - matrix).norm() <= (others - matrix).norm(dim=(-2, -1)) + 1e-12).all()


def test_left_handed_input_gives_a_right_handed_rotation():
    mirror = torch.diag(torch.tensor([1.0, 1.0, -0.5], dtype=torch.float64))
    torch.testing.assert_close(nearest_rotation(mirror), EYE)


@pytest.mark.parametrize(
    "diagonal",
    [[1.0, 1, 1], [3, 2, 1], [2, 1, 0], [1, 1, 0], [2, 1, -0.5]],
    ids=["a rotation", "distinct", "flat", "flat and round", "mirrored"],
)
def test_gradient_of_the_nearest_rotation(diagonal):
    left, right = rotations(2, seed=5)
    matrix = (left @ torch.diag(torch.tensor(diagonal, dtype=torch.float64)) @ right).requires_grad_()
    assert torch.autograd.gradcheck(nearest_rotation, matrix)


def test_undetermined_rotations_have_finite_gradients():
    matrix = torch.stack([torch.zeros(3, 3), torch.diag(torch.tensor([1.0, 0, 0])), -torch.eye(3)])
    matrix.requires_grad_()
    nearest = nearest_rotation(matrix)
    assert torch.linalg.det(nearest).detach() == pytest.approx([1, 1, 1])
    nearest.sum().backward()
    assert matrix.grad.isfinite().all()


def test_nan_spoils_only_its_own_matrix():
    matrix = torch.stack([torch.eye(3), torch.full((3, 3), torch.nan)]).requires_grad_()
    nearest = nearest_rotation(matrix)
    nearest[0].sum().backward()
    torch.testing.assert_close(nearest[0].detach(), torch.eye(3))
    assert nearest[1].isnan().all()
    assert matrix.grad[0].isfinite().all()


# --- means ----------------------------------------------------------------------------------------


def test_mean_of_two_is_half_way():
    ends = rotation_from_axis_angle(torch.tensor([[0.2, 0, 0], [1.0, 0, 0]], dtype=torch.float64))
    mean = average_rotations(ends, torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(axis_angle_from_rotation(mean), torch.tensor([0.6, 0, 0], dtype=torch.float64))


@given(seed=seeds)
@settings(deadline=None)
def test_mean_turns_with_its_rotations_and_equals_scipy(seed):
    turns = rotation_from_axis_angle(0.5 * random(7, 3, seed=seed))
    weights = random(7, seed=seed).abs() + 0.1
    mean = average_rotations(turns, weights)
    scipy = Rotation.from_matrix(turns.numpy()).mean(weights=weights.numpy()).as_matrix()
    torch.testing.assert_close(mean, torch.from_numpy(scipy), atol=1e-9, rtol=0)
    left = rotations(1, seed)[0]
    torch.testing.assert_close(average_rotations(left @ turns, weights), left @ mean, atol=1e-9, rtol=0)


def test_weight_nought_is_absence():
    turns = rotations(3).clone()
    turns[1] = torch.nan
    weights = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(average_rotations(turns, weights), turns[0])
    assert average_rotations(turns, torch.zeros_like(weights)).isnan().all()


def test_gradient_of_the_mean():
    turns = rotation_from_axis_angle(0.5 * random(4, 3))
    turns[1] = torch.nan
    turns.requires_grad_()
    weights = torch.tensor([1.0, 0, 2, 3], dtype=torch.float64)
    average_rotations(turns, weights).sum().backward()
    assert turns.grad.isfinite().all()
    kept = turns.detach()[[0, 2, 3]].requires_grad_()
    assert torch.autograd.gradcheck(average_rotations, (kept, weights[[0, 2, 3]].requires_grad_()))


# --- messages -------------------------------------------------------------------------------------


def test_a_left_handed_rotation_is_explained():
    left_handed = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    with pytest.raises(ValueError, match=r"camera 'cam_2': .* left-handed \(determinant -1\.0000.*mirror"):
        check_rotation(torch.stack([torch.eye(3), left_handed]), "camera 'cam_2'")


@pytest.mark.parametrize("factor", [2.0, math.nan])
def test_no_rotation_at_all_is_explained(factor):
    with pytest.raises(ValueError, match=r"cam_1: this matrix is no rotation.*determinant"):
        check_rotation(factor * torch.eye(3), "cam_1")


def test_rotations_rounded_to_four_digits_pass_and_to_two_do_not():
    exact = rotations(20)
    check_rotation((exact * 1e4).round() / 1e4, "four digits")
    with pytest.raises(ValueError, match="two digits: this matrix is no rotation"):
        check_rotation((exact * 1e2).round() / 1e2, "two digits")
