from math import isnan

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.metrics.detection import (
    GROUPS,
    JDR,
    ImageError,
    detection_rates,
    half_head,
    head_size_rule,
    joint_detected,
)
from coview.skeletons import CANONPOSE_16, COCO_17, H36M_17

J = {name: H36M_17.index(name) for name in H36M_17.joints}


def standing(head: float = 20.0, width: float = 100.0) -> torch.Tensor:
    """True 2D of one view: a head of `head` pixels, a box of `width` pixels, everything else in the middle."""
    truth = torch.full((17, 2), 50.0)
    truth[J["thorax"]] = torch.tensor([50.0, 100.0])
    truth[J["head_top"]] = torch.tensor([50.0, 100.0 - head])
    truth[J["left_wrist"]], truth[J["right_wrist"]] = torch.tensor([[0.0, 50.0], [width, 50.0]])
    return truth


def moved(truth: torch.Tensor, joint: str, pixels: float) -> torch.Tensor:
    found = truth.clone()
    found[..., J[joint], 1] += pixels
    return found


def test_half_a_head_by_hand():
    assert half_head(standing(head=20.0), H36M_17).item() == 10.0
    # a head of 2 px (seen from above) in a box of 100 px: half of it is 1 px, the floor 2.5 px
    assert half_head(standing(head=2.0), H36M_17).item() == 2.5


def test_the_floor_takes_over_where_the_head_is_unknown():
    truth = standing()
    truth[J["head_top"]] = torch.nan
    assert half_head(truth, H36M_17).item() == 2.5
    assert isnan(half_head(torch.full((17, 2), torch.nan), H36M_17).item())


def test_the_neck_goes_before_the_thorax():
    truth = torch.zeros(2, 16, 2)
    truth[:, CANONPOSE_16.index("head_top"), 1] = -30.0
    truth[1, CANONPOSE_16.index("neck"), 1] = -18.0
    assert half_head(truth, CANONPOSE_16).tolist() == [15.0, 6.0]


def test_nearer_than_half_a_head_is_detected_and_exactly_half_is_not():
    truth = standing(head=20.0)
    for pixels, expected in ((0.0, True), (9.9, True), (10.0, False), (11.0, False), (torch.nan, False)):
        found = moved(truth, "left_knee", pixels)
        assert joint_detected(found, truth, half_head(truth, H36M_17))[J["left_knee"]].item() is expected


def test_rates_by_hand():
    """Two views of one person: the left knee is missed in one, both ankles in one, a wrist is not there."""
    truth = torch.stack([standing(), standing()])
    found = truth.clone()
    found[0] = moved(moved(moved(found[0], "left_knee", 12.0), "left_ankle", 50.0), "right_ankle", -50.0)
    found[1, J["right_wrist"]] = torch.nan
    rates = detection_rates(found, truth, H36M_17)
    # knee: left 1 of 2, right 2 of 2; ankle: 1 of 2 each; wrist: left 2 of 2, right 1 of 2
    assert rates == {
        "hip": 100.0,
        "knee": 75.0,
        "ankle": 50.0,
        "shoulder": 100.0,
        "elbow": 100.0,
        "wrist": 75.0,
        "all": pytest.approx(500 / 6),
    }


def test_left_and_right_weigh_the_same_however_often_each_is_known():
    truth = torch.stack([standing()] * 4)
    found = truth.clone()
    found[0, J["left_hip"]] += 100  # one of the one that is known
    truth[1:, J["left_hip"]] = torch.nan
    assert detection_rates(found, truth, H36M_17)["hip"] == 50.0  # 0 % left, 100 % right


def test_unknown_truth_is_not_counted():
    truth = torch.stack([standing(), standing()])
    found = moved(truth, "left_elbow", 100.0)
    truth[:, [J["left_elbow"], J["left_hip"], J["right_hip"]]] = torch.nan
    rates = detection_rates(found, truth, H36M_17)
    assert rates["elbow"] == 100.0  # the right one speaks for both
    assert isnan(rates["hip"])
    assert rates["all"] == 100.0
    assert all(isnan(rate) for rate in detection_rates(found, truth * torch.nan, H36M_17).values())


@settings(deadline=None, max_examples=10)
@given(split=st.integers(1, 9), seed=st.integers(0, 100))
def test_batching_does_not_matter(split, seed):
    truth, noise = 100 * torch.randn(2, 10, 3, 17, 2, generator=torch.Generator().manual_seed(seed))
    found = truth + 0.3 * noise
    truth[0, 0, :4] = torch.nan
    parts = JDR(H36M_17)
    parts.update(found[:split], truth[:split])
    parts.update(found[split:], truth[split:])
    expected = detection_rates(found, truth, H36M_17)
    assert {group: rate.item() for group, rate in parts.compute().items()} == pytest.approx(expected)


def slow_rates(found, truth):
    """The slow twin, one joint at a time; the truth is all known."""
    rates = {}
    for group in GROUPS:
        sides = []
        for side in ("left", "right"):
            hits = []
            for mine, true in zip(found, truth, strict=True):
                box = max(true[:, 0].tolist()) - min(true[:, 0].tolist())
                head = (true[J["head_top"]] - true[J["thorax"]]).norm().item()
                distance = (mine[J[f"{side}_{group}"]] - true[J[f"{side}_{group}"]]).norm().item()
                hits.append(distance < max(head / 2, 0.025 * box))
            sides.append(100 * sum(hits) / len(hits))
        rates[group] = sum(sides) / 2
    return {**rates, "all": sum(rates.values()) / len(rates)}


def test_it_agrees_with_its_slow_twin():
    truth, noise = 100 * torch.randn(2, 50, 17, 2, generator=torch.Generator().manual_seed(1))
    found = truth + 0.5 * noise
    rates = detection_rates(found, truth, H36M_17)
    assert rates == pytest.approx(slow_rates(found, truth))
    assert 20 < rates["all"] < 80


def test_the_rule_is_said_in_words():
    assert "|head_top − thorax|" in head_size_rule(H36M_17)
    assert "|head_top − neck|" in head_size_rule(CANONPOSE_16)
    assert "2.5 %" in head_size_rule(H36M_17)


def test_a_skeleton_without_a_head_is_refused():
    with pytest.raises(LookupError, match=r"'coco_17' has no joint 'head_top'"):
        detection_rates(torch.zeros(1, 17, 2), torch.zeros(1, 17, 2), COCO_17)


def test_one_pose_without_a_batch_axis():
    assert detection_rates(standing(), standing(), H36M_17)["all"] == 100.0


def test_pixels_are_averaged_over_what_is_known():
    metric = ImageError()
    truth = torch.zeros(2, 3, 2)
    found = truth + torch.tensor([3.0, 4.0])
    found[0, 0], truth[1, 2] = torch.nan, torch.nan
    metric.update(found, truth)
    assert float(metric.compute()) == 5
    metric.update(truth[:1], truth[:1])
    assert float(metric.compute()) == 5 * 4 / 7


def test_an_image_error_of_nothing_known_is_not_zero():
    metric = ImageError()
    metric.update(torch.full((1, 2, 2), torch.nan), torch.zeros(1, 2, 2))
    assert isnan(float(metric.compute()))
