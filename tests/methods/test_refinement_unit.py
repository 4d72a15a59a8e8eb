import pytest
import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.methods.refinement_unit import RefinementUnit, RefinementUnitConfig
from coview.sample import MultiView
from coview.skeletons import EPIPOLAR_16, H36M_17, skeleton_map

SMALL = RefinementUnitConfig(width=32, dropout=0.0)


def instants(count: int = 24, seed: int = 0, skeleton=H36M_17) -> MultiView:
    """Guesses that are half as large as the truth, and off by the same few centimetres everywhere."""
    joints3d = skeleton_map(H36M_17, skeleton).apply(random_motion(count, fps=2.0, seed=seed))
    cameras = ring_cameras(3).expand(count, 3)
    centred = joints3d - joints3d[:, skeleton.root_index, None]
    truth = centred[:, None] @ cameras.rotation.mT
    off = 0.05 * torch.randn(len(skeleton), 3, generator=torch.Generator().manual_seed(9))
    return MultiView(
        skeleton,
        joints3d=joints3d,
        cameras=cameras,
        first_guess=0.5 * truth + off - off[skeleton.root_index],
        pseudo3d=joints3d + 3.0,
        pseudo_cameras=cameras,
    )


def begun(batch: MultiView, config: RefinementUnitConfig = SMALL, seed: int = 0) -> RefinementUnit:
    torch.manual_seed(seed)
    method = config.build(batch.skeleton)
    method.fit_statistics([batch[:10], batch[10:]])
    return method


def truth_of(batch: MultiView) -> torch.Tensor:
    root = batch.skeleton.root_index
    centred = batch.joints3d - batch.joints3d[:, root, None]
    return torch.einsum("nvij,nkj->nvki", batch.cameras.rotation, centred)


def total(method: RefinementUnit, batch: MultiView) -> torch.Tensor:
    seen = batch.only(method.needs)
    return sum(method.losses(method(batch.only(method.inputs)), seen).values())


# --- statistics -------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_training_data():
    batch = instants()
    method = begun(batch)
    for poses, side in ((batch.first_guess, "input"), (truth_of(batch), "target")):
        rows = (poses - poses[..., :1, :])[..., 1:, :].flatten(0, 1).flatten(1)
        torch.testing.assert_close(getattr(method, f"{side}_mean"), rows.mean(dim=0), atol=1e-5, rtol=1e-4)
        expected = rows.std(dim=0, correction=0)
        torch.testing.assert_close(getattr(method, f"{side}_std"), expected, atol=1e-5, rtol=1e-4)
    assert {"input_mean", "input_std", "target_mean", "target_std"} <= set(method.state_dict())


def test_views_that_are_not_whole_are_left_out():
    batch = instants()
    expected = begun(batch[5:])
    guess, truth = batch.first_guess.clone(), batch.joints3d.clone()
    guess[:3, :, 4] = torch.nan
    truth[3:5, 2] = torch.nan
    found = begun(batch.replaced(first_guess=guess, joints3d=truth))
    for name in ("input_mean", "input_std", "target_mean", "target_std"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_coordinates_that_never_change_are_not_blown_up():
    batch = instants()
    guess = batch.first_guess.clone()
    guess[..., 3, :] = 0.25
    method = begun(batch.replaced(first_guess=guess - guess[..., :1, :]))
    assert (method.input_std > 1e-6).all()
    assert method(batch).joints3d.isfinite().all()


def test_nothing_whole_is_refused():
    batch = instants(4)
    with pytest.raises(
        ValueError, match=r"0 views of the training data have both .* no standard deviation to divide by"
    ):
        begun(batch.replaced(first_guess=torch.full_like(batch.first_guess, torch.nan)))


# --- what it predicts --------------------------------------------------------------------------------


@pytest.mark.parametrize("skeleton", [H36M_17, EPIPOLAR_16])
def test_all_joints_but_the_root_go_through_the_network(skeleton):
    batch = instants(skeleton=skeleton)
    method = begun(batch).eval()
    assert method.refiner.w1.in_features == 3 * (len(skeleton) - 1)
    found = method(batch).joints3d
    assert found.shape == batch.first_guess.shape
    assert (found[..., skeleton.root_index, :] == 0).all()
    others = [joint for joint in range(len(skeleton)) if joint != skeleton.root_index]
    rows = (batch.first_guess[..., others, :].flatten(-2) - method.input_mean) / method.input_std
    _, second = method.refiner(rows.flatten(0, 1))
    expected = (second * method.target_std + method.target_mean).view(*rows.shape[:2], -1, 3)
    torch.testing.assert_close(found[..., others, :], expected)


def test_the_paper_s_sixteen_joints_make_the_released_network():
    with torch.device("meta"):
        method = RefinementUnitConfig().build(EPIPOLAR_16)
    assert sum(parameter.numel() for parameter in method.parameters()) == 8_603_738


def test_a_view_without_a_whole_guess_has_no_answer_and_spoils_none():
    batch = instants()
    method = begun(batch).eval()
    guess = batch.first_guess.clone()
    guess[2, 1, 7] = torch.nan
    holed = batch.replaced(first_guess=guess)
    found = method(holed).joints3d
    assert found[2, 1].isnan().all()
    assert found.isfinite().all(dim=-1).all(dim=-1).sum() == 24 * 3 - 1
    method.train()
    loss = total(method, holed)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in method.parameters())


# --- what it learns ----------------------------------------------------------------------------------


def test_losses_by_hand():
    batch = instants(8)
    method = begun(batch).eval()
    predicted = method(batch)
    target = truth_of(batch)[..., 1:, :].flatten(-2)
    scored = (target - method.target_mean) / method.target_std
    terms = method.losses(predicted, batch)
    torch.testing.assert_close(terms["first"], (predicted.first - scored).square().mean())
    torch.testing.assert_close(terms["second"], (predicted.second - scored).square().mean())
    truth = batch.joints3d.clone()
    truth[:, 16] = torch.nan  # unknown joints do not count
    terms = method.losses(predicted, batch.replaced(joints3d=truth))
    torch.testing.assert_close(terms["second"], (predicted.second - scored)[..., :-3].square().mean())


@pytest.mark.parametrize("taught_by", ["truth", "pseudo"])
def test_it_learns_what_is_always_wrong(taught_by):
    batch = instants(64)
    method = begun(batch, RefinementUnitConfig(width=64, dropout=0.0, taught_by=taught_by))
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    for _ in range(100):
        optimiser.zero_grad()
        total(method, batch).backward()
        optimiser.step()
    found = method.eval()(batch).joints3d
    before, after = ((poses - truth_of(batch)).norm(dim=-1).mean() for poses in (batch.first_guess, found))
    assert after < 0.45 * before


def test_a_teacher_without_labels_reads_no_labels():
    """The pseudo-labels' world is that of their own cameras, wherever it lies."""
    batch = instants()
    method = begun(batch, RefinementUnitConfig(width=8, taught_by="pseudo"))
    assert method.needs == {"first_guess", "pseudo3d", "pseudo_cameras"}
    torch.testing.assert_close(method.teacher(batch.only(method.needs)), truth_of(batch), atol=1e-5, rtol=0)
    by_labels = begun(batch, SMALL)
    assert by_labels.needs == {"first_guess", "joints3d", "cameras"}
    assert by_labels.inputs == {"first_guess"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 0}, r"width must be at least 1 and dropout in \[0, 1\), got 0 and 0.5"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\), got 1024 and 1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        RefinementUnitConfig(**changes)
