import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from coview.geometry.alignment import (
    Similarity,
    rigid_alignment,
    similarity_alignment,
    upright_alignment,
)
from coview.geometry.rotations import rotation_from_axis_angle

seeds = st.integers(0, 2**31)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_similarity(seed: int, scale: float = 1.0) -> Similarity:
    rotation = rotation_from_axis_angle(2 * random(3, seed=seed))
    return Similarity(rotation, random(3, seed=seed + 1), torch.tensor(scale, dtype=torch.float64))


def assert_same(found: Similarity, expected: Similarity) -> None:
    for name in ("rotation", "translation", "scale"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-9, rtol=1e-9)


def textbook_alignment(source, target, weights) -> Similarity:
    """[Umeyama91] eq. 38-43, one pair of clouds, in its own letters, with weights."""
    w = weights / weights.sum()
    mu_x, mu_y = w @ source, w @ target
    sigma_x = (w * (source - mu_x).square().sum(dim=1)).sum()
    sigma_xy = sum(w[i] * torch.outer(target[i] - mu_y, source[i] - mu_x) for i in range(len(w)))
    u, d, vt = torch.linalg.svd(sigma_xy)
    s = torch.eye(3, dtype=source.dtype)
    if torch.linalg.det(u) * torch.linalg.det(vt) < 0:
        s[2, 2] = -1
    rotation = u @ s @ vt
    scale = (torch.diag(d) @ s).trace() / sigma_x
    return Similarity(rotation, mu_y - scale * rotation @ mu_x, scale)


# --- properties -----------------------------------------------------------------------------------


@given(seed=seeds, count=st.integers(3, 20), scale=st.floats(0.01, 100))
@settings(deadline=None)
def test_a_known_similarity_is_found(seed, count, scale):
    source, true = random(count, 3, seed=seed), some_similarity(seed, scale)
    target = true.apply(source)
    found = similarity_alignment(source, target)
    torch.testing.assert_close(found.apply(source), target, atol=1e-7 * scale, rtol=1e-7)
    torch.testing.assert_close(found.inverse().apply(target), source, atol=1e-7, rtol=1e-7)


@given(seed=seeds)
@settings(deadline=None)
def test_noisy_clouds_as_in_the_textbook(seed):
    source, target, weights = random(6, 3, seed=seed), random(6, 3, seed=seed + 1), random(6).abs() + 0.1
    assert_same(similarity_alignment(source, target, weights), textbook_alignment(source, target, weights))


@given(seed=seeds)
@settings(deadline=None)
def test_rigid_equals_scipy(seed):
    source, weights = random(8, 3, seed=seed), random(8, seed=seed).abs() + 0.1
    target = some_similarity(seed).apply(source) + 0.1 * random(8, 3, seed=seed + 2)
    found = rigid_alignment(source, target, weights)
    share = (weights / weights.sum())[:, None]
    a, b = ((points - (share * points).sum(0)).numpy() for points in (target, source))
    turn, _ = Rotation.align_vectors(a, b, weights=weights.numpy())
    torch.testing.assert_close(found.rotation, torch.from_numpy(turn.as_matrix()), atol=1e-9, rtol=0)
    assert found.scale == 1


@given(seed=seeds)
@settings(deadline=None)
def test_upright_is_the_best_of_all_turns_about_z(seed):
    """The slow twin tries a turn for every tenth of a degree, with the translation that each demands."""
    source, target, weights = random(6, 3, seed=seed), random(6, 3, seed=seed + 1), random(6).abs() + 0.1
    found = upright_alignment(source, target, weights)
    angles = torch.arange(0, 2 * torch.pi, torch.pi / 1800, dtype=torch.float64)
    turns = rotation_from_axis_angle(angles[:, None] * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    share = weights / weights.sum()
    a, b = source - share @ source, target - share @ target
    costs = (share * (a @ turns.mT - b).square().sum(dim=-1)).sum(dim=-1)
    cost = (share * (found.apply(source) - target).square().sum(dim=-1)).sum()
    assert cost <= costs.min() + 1e-9
    assert cost == pytest.approx(float(costs.min()), rel=1e-3)
    assert found.scale == 1
    torch.testing.assert_close(found.rotation[2], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(found.rotation), torch.tensor(1.0, dtype=torch.float64))


def test_upright_finds_a_known_turn():
    turn = rotation_from_axis_angle(torch.tensor([0.0, 0.0, 2.5], dtype=torch.float64))
    source, shift = random(2, 5, 3), random(3, seed=1)
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0], dtype=torch.float64).expand(2, 5)
    target = source @ turn.mT + shift
    target[:, 2] = torch.nan  # of weight 0
    found = upright_alignment(source, target, weights)
    torch.testing.assert_close(found.rotation, turn.expand(2, 3, 3))
    torch.testing.assert_close(found.translation, shift.expand(2, 3))


@pytest.mark.parametrize("aside", [0.0, 1e-4, 1e-3, 0.1])
def test_a_vertical_line_is_left_as_it_is(aside):
    """Rounding leaves something of its extent from above, whose angle is chance and whose gradient is infinite."""
    heights = torch.randn(200, 17, 1, generator=torch.Generator().manual_seed(0))
    line = torch.cat([torch.full_like(heights, aside), torch.full_like(heights, 2 * aside), heights], dim=-1)
    weights = torch.rand(200, 17, generator=torch.Generator().manual_seed(1))
    line.requires_grad_()
    motion = upright_alignment(line, line + 1, weights)
    torch.testing.assert_close(motion.rotation, torch.eye(3).expand(200, 3, 3))
    motion.apply(line).sum().backward()
    assert line.grad.isfinite().all()


def test_upright_has_a_gradient():
    source, target = random(5, 3), random(5, 3, seed=1)
    weights = random(5, seed=2).abs() + 0.1
    assert torch.autograd.gradcheck(
        lambda s, t: upright_alignment(s, t, weights).apply(s),
        (source.requires_grad_(), target.requires_grad_()),
    )


@given(seed=seeds)
@settings(deadline=None)
def test_nothing_near_is_better(seed):
    source, target, weights = random(6, 3, seed=seed), random(6, 3, seed=seed + 1), random(6).abs() + 0.1

    def cost(a: Similarity) -> torch.Tensor:
        return (weights * (a.apply(source) - target).square().sum(dim=-1)).sum(dim=-1)

    best = similarity_alignment(source, target, weights)
    other = Similarity(
        rotation_from_axis_angle(0.05 * random(30, 3, seed=seed)) @ best.rotation,
        best.translation + 0.05 * random(30, 3, seed=seed + 1),
        best.scale * (1 + 0.05 * random(30, seed=seed)),
    )
    assert (cost(other) >= cost(best)).all()


@given(seed=seeds)
@settings(deadline=None)
def test_a_mirror_image_is_never_undone_by_a_mirror(seed):
    source = random(10, 3, seed=seed)
    found = similarity_alignment(source, source * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(found.rotation), torch.tensor(1.0, dtype=torch.float64))


def test_batches_are_independent():
    source, target = random(2, 3, 7, 3), random(2, 3, 7, 3, seed=1)
    together = similarity_alignment(source, target)
    assert together.scale.shape == (2, 3)
    alone = similarity_alignment(source[1, 2], target[1, 2])
    torch.testing.assert_close(together.apply(source)[1, 2], alone.apply(source[1, 2]))


def test_reference_value():
    # [Umeyama91] §IV, the paper's example: source (0,0) (1,0) (0,2), target (0,0) (-1,0) (0,2). In the
    # plane the best rotation would be a reflection; in space it may turn the plane over: exact fit.
    source = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]], dtype=torch.float64)
    target = torch.tensor([[0.0, 0, 0], [-1, 0, 0], [0, 2, 0]], dtype=torch.float64)
    found = similarity_alignment(source, target)
    torch.testing.assert_close(found.rotation, torch.diag(torch.tensor([-1.0, 1, -1], dtype=torch.float64)))
    torch.testing.assert_close(found.apply(source), target)
    # By hand: doubled and moved by (1, 2, 3), nothing turned.
    doubled = similarity_alignment(source, 2 * source + torch.tensor([1.0, 2, 3], dtype=torch.float64))
    assert doubled.scale == pytest.approx(2)
    assert doubled.translation.tolist() == pytest.approx([1, 2, 3])


# --- gradients ------------------------------------------------------------------------------------


def aligned(source, target, weights):
    found = similarity_alignment(source, target, weights)
    return found.rotation, found.translation, found.scale


SYMMETRIC = torch.cat([torch.eye(3), -torch.eye(3)]).double()  # an octahedron: equal singular values
FLAT = torch.tensor([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]], dtype=torch.float64)  # and a square


@pytest.mark.parametrize("source", [random(5, 3), SYMMETRIC, FLAT], ids=["random", "symmetric", "flat"])
def test_gradients(source):
    target = some_similarity(1, 1.5).apply(source)
    weights = torch.full(source.shape[:1], 0.7, dtype=torch.float64)
    inputs = tuple(each.clone().requires_grad_() for each in (source, target, weights))
    assert torch.autograd.gradcheck(aligned, inputs)
    assert torch.autograd.gradcheck(lambda a, b, w: rigid_alignment(a, b, w).apply(a), inputs)


def test_equal_clouds_have_finite_gradients_in_float32():
    source = random(4, 17, 3).float().requires_grad_()
    error = similarity_alignment(source, source.detach()).apply(source) - source.detach()
    error.abs().sum().backward()
    assert source.grad.isfinite().all()


# --- degenerate input -----------------------------------------------------------------------------


def test_absent_points_change_nothing():
    source, target, weights = random(6, 3), random(6, 3, seed=1), torch.ones(6, dtype=torch.float64)
    weights[2:4] = 0
    holes = source.clone()
    holes[2], holes[3] = torch.nan, torch.inf
    holes.requires_grad_()
    found = similarity_alignment(holes, target, weights)
    assert_same(found, similarity_alignment(source[[0, 1, 4, 5]], target[[0, 1, 4, 5]]))
    found.rotation.sum().backward()
    assert holes.grad.isfinite().all()
    assert (holes.grad[2:4] == 0).all()


def test_two_points_are_too_few():
    source = random(2, 5, 3).requires_grad_()
    weights = torch.tensor([[1.0, 1, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.float64)
    for align in (rigid_alignment, similarity_alignment):
        found = align(source, random(2, 5, 3, seed=1), weights)
        for part in (found.rotation, found.translation, found.scale):
            assert part[0].isnan().all()
            assert part[1].isfinite().all()
    found.apply(source)[1].sum().backward()  # the other instant still learns
    assert source.grad.isfinite().all()


@pytest.mark.parametrize("shape", ["line", "point"])
def test_undetermined_rotations_stay_rotations_with_finite_gradients(shape):
    along = torch.arange(5.0) if shape == "line" else torch.zeros(5)
    source = (along[:, None] * torch.tensor([1.0, 2.0, 3.0])).requires_grad_()
    found = rigid_alignment(source, random(5, 3).float())
    assert torch.linalg.det(found.rotation).detach() == pytest.approx(1)
    found.apply(source).sum().backward()
    assert source.grad.isfinite().all()


def test_a_point_has_no_scale():
    assert similarity_alignment(torch.ones(5, 3), random(5, 3).float()).scale.isnan()


def test_nan_at_a_positive_weight_is_seen():
    source = random(5, 3)
    source[0, 0] = torch.nan
    assert similarity_alignment(source, random(5, 3)).rotation.isnan().all()
