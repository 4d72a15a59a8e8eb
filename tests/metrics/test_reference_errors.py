import math

import numpy as np
import pytest
import torch

from coview.metrics.joint_error import n_joint_error, p_joint_error
from coview.metrics.reference_errors import (
    ReferenceNMPJPE,
    ReferencePMPJPE,
    reference_n_joint_error,
    reference_p_joint_error,
)

# A square of side 2 around the origin; the root is one of its corners.
ROOT = 0
SQUARE = torch.tensor([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]], dtype=torch.float64)


def quarter_turn() -> torch.Tensor:
    return torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)


def poses(count: int = 20, joints: int = 17, spread: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    truth, noise = torch.randn(2, count, joints, 3, generator=generator, dtype=torch.float64)
    return truth + spread * noise, truth


def by_the_book(predicted: np.ndarray, truth: np.ndarray, root: int) -> tuple[np.ndarray, np.ndarray]:
    """The slow twin: one pose, the SVD of Umeyama's paper, roots subtracted afterwards; (N, P) errors in mm."""
    mean_p, mean_t = predicted.mean(axis=0), truth.mean(axis=0)
    u, stretch, vt = np.linalg.svd((truth - mean_t).T @ (predicted - mean_p))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (stretch * signs).sum() / ((predicted - mean_p) ** 2).sum()
    aligned = scale * (predicted - mean_p) @ (u @ np.diag(signs) @ vt).T + mean_t
    centred = truth - truth[root]
    n_error = np.linalg.norm(scale * (predicted - predicted[root]) - centred, axis=1)
    p_error = np.linalg.norm(aligned - aligned[root] - centred, axis=1)
    return 1000 * n_error, 1000 * p_error


def test_by_hand_a_turned_square_has_no_p_error_and_keeps_its_n_error():
    # Turned by 90° and halved: the similarity finds the factor 2, so N- compares unturned squares of side 2 about
    # a corner. Corners move by 0, |(-2,0)-(0,-2)| = 2√2, |(-2,-2)-(2,-2)| = 4 and 2√2: mean (4 + 4√2) / 4.
    predicted = 0.5 * SQUARE @ quarter_turn().mT + 7
    torch.testing.assert_close(
        reference_p_joint_error(predicted, SQUARE, ROOT), torch.zeros(4).double(), atol=1e-9, rtol=0
    )
    metric = ReferenceNMPJPE(ROOT)
    metric.update(predicted, SQUARE)
    assert float(metric.compute()) == pytest.approx(1000 * (1 + math.sqrt(2)))
    # the standard scale, which may not turn, is 0: all that remains is the distance to the root, 2, 2√2 and 2
    standard = n_joint_error(predicted, SQUARE, ROOT).mean()
    assert float(standard) == pytest.approx(1000 * (4 + 2 * math.sqrt(2)) / 3)


def test_by_hand_the_root_is_moved_after_the_fit():
    # The root of a symmetric cross is lifted by 1: about the mean the prediction's z are (0.8, -0.2, -0.2, -0.2, -0.2)
    # and the cross lies flat; no turn helps, and the best scale is Σ⟨P,G⟩/Σ⟨P,P⟩ = 4 / (4 + 0.8) = 5/6.
    cross = torch.tensor([[0.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], dtype=torch.float64)
    predicted = cross.clone()
    predicted[0, 2] = 1.0
    # standard: root 5/6 · 0.8 = 2/3 off, arms hypot(1/6, 1/6); reference: arms hypot(1/6, 5/6), root 0
    arm, moved = math.hypot(1 / 6, 1 / 6), math.hypot(1 / 6, 5 / 6)
    standard = p_joint_error(predicted, cross)
    torch.testing.assert_close(standard, 1000 * torch.tensor([2 / 3] + [arm] * 4).double())
    found = reference_p_joint_error(predicted, cross, 0)
    torch.testing.assert_close(found, 1000 * torch.tensor([0.0] + [moved] * 4).double(), atol=1e-5, rtol=0)
    metric = ReferencePMPJPE(0)
    metric.update(predicted, cross)
    assert float(metric.compute()) == pytest.approx(1000 * moved * 4 / 5)
    torch.testing.assert_close(reference_n_joint_error(predicted, cross, 0), found)  # nothing was turned


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_they_agree_with_the_book(spread):
    predicted, truth = poses(spread=spread)
    for one, other in zip(predicted, truth, strict=True):
        n_error, p_error = by_the_book(one.numpy(), other.numpy(), 3)
        torch.testing.assert_close(reference_n_joint_error(one, other, 3), torch.from_numpy(n_error))
        torch.testing.assert_close(reference_p_joint_error(one, other, 3), torch.from_numpy(p_error))


def test_the_reference_s_errors_are_the_larger_ones():
    """As the specification measured on random poses: 95.0 against 127.2 mm (P), 127.7 against 133.1 mm (N)."""
    predicted, truth = poses(200)
    assert reference_p_joint_error(predicted, truth, 0).mean() > 1.1 * p_joint_error(predicted, truth).mean()
    assert (
        reference_n_joint_error(predicted, truth, 0)[:, 1:].mean()
        > n_joint_error(predicted, truth, 0).mean() - 1
    )


def test_size_and_place_do_not_matter():
    predicted, truth = poses()
    for error in (reference_p_joint_error, reference_n_joint_error):
        torch.testing.assert_close(error(3 * predicted + 2, truth, 0), error(predicted, truth, 0))


def test_unknown_joints_are_not_counted_and_few_are_not_enough():
    predicted, truth = poses(4)
    whole, part = ReferencePMPJPE(0), ReferencePMPJPE(0)
    whole.update(predicted[:, :9], truth[:, :9])
    truth[:, 9:] = torch.nan
    part.update(predicted, truth)
    torch.testing.assert_close(part.compute(), whole.compute())
    truth[:, 2:] = torch.nan
    assert reference_n_joint_error(predicted, truth, 0).isnan().all()


def test_gradients_are_right():
    predicted, truth = poses(2, joints=6)
    predicted.requires_grad_()
    for error in (reference_p_joint_error, reference_n_joint_error):
        assert torch.autograd.gradcheck(
            lambda p, error=error: error(p, truth, 0)[:, 1:].sum(dim=-1), predicted
        )
