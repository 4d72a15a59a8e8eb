from dataclasses import replace

import pytest
import torch

from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
from coview.methods.pseudo_label_lifting import PseudoLabelLiftingConfig
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.sample import MultiView
from coview.skeletons import H36M_17


def instants(count: int = 6) -> MultiView:
    batch = (
        SyntheticConfig(instants=count, subjects=1, noise=DetectorNoise(missing_rate=0.1)).train().instants
    )
    spread = 1e-4 * torch.eye(3).expand(count, 17, 3, 3)
    return batch.replaced(pseudo3d=batch.joints3d, pseudo_cameras=batch.cameras, pseudo_covariance=spread)


def test_with_true_labels_of_one_spread_it_is_supervised_lifting():
    batch = instants()
    torch.manual_seed(0)
    own = PseudoLabelLiftingConfig(width=16, projection="perspective", half_at=0.02).build(H36M_17)
    other = SupervisedLiftingConfig(width=16, projection="perspective").build(H36M_17)
    other.load_state_dict(own.state_dict())
    mine, theirs = own.losses(own(batch), batch)["label"], other.losses(other(batch), batch)["joint"]
    torch.testing.assert_close(mine, theirs)


def test_reads_no_truth():
    method = PseudoLabelLiftingConfig(width=16).build(H36M_17)
    assert not method.needs & {"joints3d", "cameras"}
    batch = instants().only(method.needs)
    assert method.losses(method(batch), batch)["label"].isfinite()


def test_unsure_labels_count_less_and_unknown_ones_nothing():
    batch = instants()
    method = PseudoLabelLiftingConfig(width=16, half_at=0.02).build(H36M_17)
    joint = H36M_17.index("left_wrist")
    wrong = batch.pseudo3d.clone()
    wrong[:, joint] += 1.0
    spread = batch.pseudo_covariance.clone()
    spread[:, joint] = torch.eye(3)
    plain = method.losses(method(batch), batch)["label"]
    unsure = batch.replaced(pseudo3d=wrong, pseudo_covariance=spread)
    assert abs(method.losses(method(batch), unsure)["label"] - plain) < 0.05 * plain
    spread[:, joint] = torch.nan
    wrong[:, joint] = torch.nan
    unknown = batch.replaced(pseudo3d=wrong, pseudo_covariance=spread)
    loss = method.losses(method(batch), unknown)["label"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


def test_half_at_is_where_a_label_counts_half():
    method = PseudoLabelLiftingConfig(width=16, half_at=0.03).build(H36M_17)
    spread = (0.03**2 / 2) * torch.eye(3).expand(1, 17, 3, 3)  # with the root's the same again
    torch.testing.assert_close(method._weights(spread), torch.full((1, 17), 0.5))


def test_views_that_agree_cost_nothing_and_a_turned_one_does():
    batch = instants()
    method = PseudoLabelLiftingConfig(width=16, projection="perspective", consistency=1.0).build(H36M_17)
    lifted = method(batch)
    pose = (batch.joints3d - batch.joints3d[:, :1])[:, None].expand_as(lifted.canonical)
    rotation = lifted.observed.ray_from_camera @ batch.cameras.rotation
    agreeing = replace(lifted, canonical=pose, ray_from_canonical=rotation)
    assert method.losses(agreeing, batch)["consistency"] < 1e-5
    moved = pose.clone()
    moved[:, 0] += torch.tensor([0.1, 0.0, 0.0])
    other = method.losses(replace(agreeing, canonical=moved), batch)["consistency"]
    # one of four views 10 cm off: it is 7.5 cm from the mean, the others 2.5
    assert other == pytest.approx((0.075 + 3 * 0.025) / 4, abs=0.01)


def test_learns_by_heart_and_not_from_shuffled_labels():
    batch = instants(12)

    def learnt(labels: MultiView) -> float:
        torch.manual_seed(0)
        method = PseudoLabelLiftingConfig(width=64, rotation="six_d", input_size="unit_rms").build(H36M_17)
        optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
        for _ in range(150):
            loss = method.losses(method(labels), labels)["label"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return method.losses(method(batch), batch)["label"].item()

    order = torch.tensor([5, 7, 9, 11, 0, 2, 4, 1, 3, 10, 6, 8])
    shuffled = batch.replaced(pseudo3d=batch.pseudo3d[order] @ torch.diag(torch.tensor([-1.0, -1.0, 1.0])))
    assert learnt(batch) < 0.5 * learnt(shuffled)


def test_settings_below_zero_are_refused():
    with pytest.raises(ValueError, match="half_at"):
        PseudoLabelLiftingConfig(half_at=-0.1)
