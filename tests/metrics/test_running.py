import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.metrics.joint_error import scale_to
from coview.metrics.running import (
    CPS,
    MPJPE,
    NAUC,
    NMPJPE,
    NPCK,
    PMPJPE,
    CentredMPJPE,
    Coverage,
    OppositeShare,
    RelativeMPJPE,
)

METRICS = [
    MPJPE,
    lambda: NMPJPE(0),
    PMPJPE,
    lambda: NPCK(0),
    lambda: NAUC(0),
    CPS,
    lambda: OppositeShare(0),
    Coverage,
]


def poses(count: int = 10, joints: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    truth, noise = torch.randn(2, count, joints, 3, generator=torch.Generator().manual_seed(seed))
    return truth + 0.1 * noise, truth


def value(metric, predicted, truth) -> float:
    metric.update(predicted, truth)
    return metric.compute().item()


def test_mpjpe_by_hand():
    # one joint off by (3, 4, 0) cm: 50 mm; the other exact; mean 25 mm
    predicted, truth = torch.zeros(2, 3), torch.tensor([[0.03, 0.04, 0.0], [0.0, 0.0, 0.0]])
    assert value(MPJPE(), predicted, truth) == pytest.approx(25.0, abs=1e-4)


def test_n_mpjpe_by_hand():
    # root at the origin; P = (1,0,0), (0,1,0); G = (2,0,0), (0,2,1): s = 4/2 = 2,
    # errors 0 and 1 m over the two joints that are not the root: 500 mm
    predicted = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    truth = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 1]])
    assert value(NMPJPE(0), predicted, truth) == pytest.approx(500.0, abs=1e-3)
    moved = predicted + torch.tensor([5.0, -3.0, 1.0])
    assert value(NMPJPE(0), moved, truth) == pytest.approx(500.0, abs=1e-2)


def test_scores_by_hand():
    # errors after scaling with s = 1 along x: exact, then 100 and 200 mm off sideways
    truth = torch.tensor([[0.0, 0, 0], [1e4, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=torch.float64)
    predicted = truth + torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0.1, 0], [0, 0, 0.2]])
    assert value(NPCK(0), predicted, truth) == pytest.approx(200 / 3, abs=1e-3)  # two of three below 150 mm
    # of the thresholds 0, 5, … 150 mm, 30 lie above an error of a hair, 10 above 100 mm, none above 200
    assert value(NAUC(0), predicted, truth) == pytest.approx(100 * (30 + 10) / 31 / 3, abs=1e-3)


@settings(deadline=None, max_examples=10)
@given(split=st.integers(1, 9), seed=st.integers(0, 100))
@pytest.mark.parametrize("make", METRICS)
def test_batching_does_not_matter(make, split, seed):
    predicted, truth = poses(seed=seed)
    truth[0, 2] = torch.nan
    whole, parts = make(), make()
    whole.update(predicted, truth)
    parts.update(predicted[:split], truth[:split])
    parts.update(predicted[split:], truth[split:])
    torch.testing.assert_close(whole.compute(), parts.compute())


def test_a_mirrored_pose_is_not_forgiven():
    _, truth = poses()
    truth = truth - truth[:, :1]
    mirrored = truth * torch.tensor([1.0, 1.0, -1.0])
    assert value(PMPJPE(), mirrored, truth) > 100
    assert value(NMPJPE(0), mirrored, truth) > 100


def test_a_negative_scale_is_shown():
    _, truth = poses()
    truth = truth - truth[:, :1]
    assert (scale_to(-truth, truth) == -1).all()
    assert value(OppositeShare(0), -truth, truth) == 100
    assert value(OppositeShare(0), truth, truth) == 0


def test_unknown_truth_is_not_counted():
    predicted, truth = poses(4)
    expected = (
        value(NMPJPE(0), predicted[:, :5], truth[:, :5]),
        value(PMPJPE(), predicted[:, :5], truth[:, :5]),
    )
    truth[:, 5] = torch.nan
    found = value(NMPJPE(0), predicted, truth), value(PMPJPE(), predicted, truth)
    assert found == pytest.approx(expected)
    assert value(Coverage(), predicted, truth) == 100


def test_a_missing_prediction_is_wrong_in_scores_and_shown_by_coverage():
    _, truth = poses(4)
    predicted = truth.clone()
    predicted[0] = torch.nan
    assert value(Coverage(), predicted, truth) == 75
    assert value(NPCK(0), predicted, truth) == 75
    assert value(CPS(), predicted, truth) == pytest.approx(0.75 * 300)
    assert value(MPJPE(), predicted, truth) == 0


def test_nothing_to_count_is_nan():
    predicted, truth = poses(2)
    for make in METRICS:
        assert value(make(), predicted, torch.full_like(truth, torch.nan)) != 0
    assert value(PMPJPE(), predicted[:, :2], truth[:, :2]) != value(PMPJPE(), predicted[:, :2], truth[:, :2])


def test_relative_errors_count_the_root_s_zero():
    truth = torch.zeros(2, 4, 3)
    predicted = truth + torch.tensor([5.0, 0.0, 0.0])  # anywhere
    predicted[:, 2] += torch.tensor([0.03, 0.04, 0.0])
    metric = RelativeMPJPE(root=1)
    metric.update(predicted, truth)
    assert float(metric.compute()) == pytest.approx(50 / 4, abs=1e-3)  # 3-4-5 by hand, one of four joints
    truth[0, 0] = torch.nan
    metric.reset()
    metric.update(predicted, truth)
    assert float(metric.compute()) == pytest.approx(100 / 7, abs=1e-3)


def test_centred_errors_forgive_place_and_not_size_and_leave_out_the_root():
    _, truth = poses()
    moved = truth + torch.tensor([5.0, 0.0, 0.0])
    assert value(CentredMPJPE(0), moved, truth) < 0.01
    off = truth.clone()
    off[:, 1:] += torch.tensor([0.03, 0.04, 0.0])
    torch.testing.assert_close(float(value(CentredMPJPE(0), off, truth)), 50.0, atol=0.01, rtol=0)
    assert value(CentredMPJPE(0), 2 * truth, truth) > 100
