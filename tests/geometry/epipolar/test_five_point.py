import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.geometry.epipolar.five_point import five_point
from coview.geometry.rotations import rotation_from_axis_angle, skew

seeds = st.integers(0, 2**31)


def homogeneous(points: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(points, (0, 1), value=1.0)


def five_pairs(seed: int, batch: int = 16, flat: bool = False):
    """Five points seen twice from a random pose; and the essential matrix, of unit norm."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    rotation, translation = rotation_from_axis_angle(0.4 * draw(batch, 3)), draw(batch, 3)
    points = draw(batch, 5, 3).clamp(-2, 2)
    points[..., 2] = 5 + (0.2 * points[..., 0] if flat else points[..., 2])
    moved = points @ rotation.mT + translation[:, None]
    essential = skew(translation) @ rotation
    essential = essential / essential.norm(dim=(-2, -1), keepdim=True)
    return points[..., :2] / points[..., 2:], moved[..., :2] / moved[..., 2:], essential


def distance(found: torch.Tensor, essential: torch.Tensor) -> torch.Tensor:
    """From the nearest of the ten candidates, whatever its sign."""
    both = torch.stack([found, -found], dim=-3)
    return (both - essential[..., None, None, :, :]).norm(dim=(-2, -1)).nan_to_num(2).amin(dim=(-2, -1))


@given(seed=seeds, flat=st.booleans())
@settings(deadline=None, max_examples=30)
def test_the_true_essential_is_among_the_answers(seed, flat):
    a, b, essential = five_pairs(seed, flat=flat)
    found, _ = five_point(a, b)
    # half, not all: now and then random points are nearly degenerate
    assert distance(found, essential).median() < 1e-8


@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_every_answer_fulfils_every_equation(seed):
    a, b, _ = five_pairs(seed)
    found, valid = five_point(a, b)
    miss = torch.einsum("sni,scij,snj->scn", homogeneous(b), found, homogeneous(a)).abs().amax(dim=-1)
    determinant = torch.linalg.det(found).abs()
    square = found @ found.mT
    trace = square.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
    cubic = (2 * square @ found - trace * found).norm(dim=(-2, -1))
    for residual in (miss, determinant, cubic):
        assert residual[valid].median() < 1e-9
    torch.testing.assert_close(found[valid].norm(dim=(-2, -1)), torch.ones(int(valid.sum())).double())
    assert found[~valid].isnan().all()


def test_as_many_answers_as_poselib():
    poselib = pytest.importorskip("poselib")
    a, b, _ = five_pairs(seed=1, batch=100)
    found, valid = five_point(a, b)
    disagreements = 0
    for one_a, one_b, ours, real in zip(a, b, found, valid, strict=True):
        rays = (torch.nn.functional.normalize(homogeneous(p), dim=-1).numpy() for p in (one_a, one_b))
        theirs = torch.stack([torch.from_numpy(e).double() for e in poselib.essential_matrix_5pt(*rays)])
        theirs = theirs / theirs.norm(dim=(-2, -1), keepdim=True)
        same = len(theirs) == int(real.sum()) and (distance(ours[None], theirs) < 1e-4).all()
        disagreements += not same  # a double root may be counted as real by one only
    assert disagreements <= 2


def test_a_batch_is_its_samples_in_float32_too():
    a, b, essential = five_pairs(seed=2)
    found, valid = five_point(a.reshape(4, 4, 5, 2), b.reshape(4, 4, 5, 2))
    alone, alone_valid = five_point(a[6], b[6])
    torch.testing.assert_close(found[1, 2], alone, equal_nan=True)
    assert (valid[1, 2] == alone_valid).all()
    single, _ = five_point(a.float(), b.float())
    assert single.dtype == torch.float32
    assert distance(single, essential.float()).median() < 1e-4


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3, torch.nan])
def test_degenerate_samples_are_not_valid_and_spoil_no_other(value):
    a, b, essential = five_pairs(seed=3, batch=2)
    a[0] = b[0] = value
    found, valid = five_point(a, b)
    assert not valid[0].any()
    assert distance(found[1:], essential[1:]) < 1e-6


def test_no_gradient_is_promised():
    a, b, _ = five_pairs(seed=4, batch=1)
    found, _ = five_point(a.requires_grad_(), b)
    assert not found.requires_grad
