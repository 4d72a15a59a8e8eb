"""The numbers are those of `coview.metrics` over a whole data set; kinds and shapes are checked."""

import numpy as np
import pytest
import torch

import coview
from coview.errors import InputError, UnknownNameError
from coview.metrics import running
from coview.metrics.structure_score import shipped_centres
from coview.skeletons import H36M_17

TRUTH = np.random.default_rng(0).normal(size=(8, 17, 3))
PREDICTED = TRUTH + 0.05 * np.random.default_rng(1).normal(size=TRUTH.shape)
PREDICTED[0, 4] = np.nan
TRUTH[1, 5] = np.nan
METRICS = {
    "mpjpe": (lambda p, t: coview.mpjpe(p, t), running.MPJPE()),
    "relative mpjpe": (lambda p, t: coview.mpjpe(p, t, root=H36M_17), running.RelativeMPJPE(0)),
    "n_mpjpe": (lambda p, t: coview.n_mpjpe(p, t, root=0), running.NMPJPE(0)),
    "p_mpjpe": (lambda p, t: coview.p_mpjpe(p, t), running.PMPJPE()),
    "n_pck": (lambda p, t: coview.pck(p, t, 100, alignment="scale", root=0), running.NPCK(0, 100.0)),
    "pss": (lambda p, t: coview.pss(p, t), running.PSS(shipped_centres(50))),
}


@pytest.mark.parametrize("name", METRICS)
def test_the_number_is_that_of_a_whole_data_set(name):
    function, metric = METRICS[name]
    metric.update(torch.from_numpy(PREDICTED), torch.from_numpy(TRUTH))
    assert float(function(PREDICTED, TRUTH)) == pytest.approx(float(metric.compute()), rel=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_kind_in_kind_out(name):
    function, _ = METRICS[name]
    assert isinstance(function(PREDICTED, TRUTH), np.float64)
    assert isinstance(function(PREDICTED.astype(np.float32), TRUTH.astype(np.float32)), np.float32)
    assert isinstance(function(PREDICTED.astype(np.float32), TRUTH), np.float64)
    assert isinstance(function(PREDICTED.tolist(), TRUTH.tolist()), np.float64)
    given = function(torch.from_numpy(PREDICTED).float(), TRUTH.astype(np.float32))
    assert isinstance(given, torch.Tensor)
    assert given.dtype == torch.float32
    assert given.shape == ()
    assert float(function(PREDICTED[:, ::-1][:, ::-1], TRUTH)) == float(function(PREDICTED, TRUTH))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("predicted", "truth", "words"),
    [
        (TRUTH.swapaxes(1, 2), TRUTH, "^predicted: .*joints and coordinates are swapped"),
        (TRUTH, TRUTH.swapaxes(1, 2), "^truth: .*joints and coordinates are swapped"),
        (TRUTH, TRUTH[:, :16], "^truth: expected .* to go with predicted"),
        (TRUTH, TRUTH[0], r"^truth: expected .* to go with predicted, got \(17, 3\)"),
        (TRUTH[..., :2], TRUTH, "^predicted: .*coordinates has length 2, not 3"),
        (TRUTH[0, 0], TRUTH[0, 0], "^predicted: .*it has 1 axis"),
    ],
)
def test_wrong_shapes_are_named(name, predicted, truth, words):
    with pytest.raises(InputError, match=words):
        METRICS[name][0](predicted, truth)


def test_pck_by_hand():
    truth = np.zeros((1, 4, 3))
    predicted = truth + np.array([1.0, 0, 0])
    predicted[0, 3, 0] += 0.15
    assert coview.pck(predicted, truth, alignment="none") == 0
    assert coview.pck(predicted, truth, 160, root=0) == 100
    assert coview.pck(predicted, truth, 140, root=0) == 75
    predicted[0, 2] = np.nan
    assert coview.pck(predicted, truth, 140, root=0) == 50
    assert coview.pck(3 * PREDICTED, TRUTH, alignment="similarity") == coview.pck(
        PREDICTED, TRUTH, alignment="similarity"
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: coview.n_mpjpe(TRUTH, TRUTH, root=17), r"root: the index of one of 17 joints \(0 to 16\)"),
        (lambda: coview.n_mpjpe(TRUTH, TRUTH, root=-1), "root: the index of one of 17 joints"),
        (lambda: coview.mpjpe(TRUTH, TRUTH, root=coview.skeleton("body_25")), "'body_25' has 25 joints"),
        (lambda: coview.pck(TRUTH, TRUTH), "root: alignment 'root' lays the root joints together"),
        (lambda: coview.pck(TRUTH, TRUTH, -1, root=0), "threshold: it is in millimetres"),
        (lambda: coview.pss(TRUTH[:, :16], TRUTH[:, :16]), r"joints=17, 3\), got \(8, 16, 3\)"),
    ],
)
def test_wrong_options_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_pose_centres_that_there_are_not():
    with pytest.raises(UnknownNameError, match="no 7 pose centres"):
        coview.pss(TRUTH, TRUTH, 7)


def test_nothing_known_is_no_number():
    assert np.isnan(coview.mpjpe(np.nan * TRUTH, TRUTH))
