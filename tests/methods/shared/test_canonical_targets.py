import pytest
import torch

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.shared.canonical_targets import complete_poses, embedding_facts, person_centred_rays
from coview.representations.normalised import image_rays


def test_the_person_is_in_the_middle_of_a_camera_that_looks_there():
    batch = SyntheticConfig(instants=6, subjects=2).train().instants
    rays, weights, known, turn = person_centred_rays(batch, 1.0)
    middle = (weights[..., None] * rays).sum(dim=-2) / weights.sum(dim=-1)[..., None]
    assert middle.abs().max() < 0.02
    assert known.all()
    taken = image_rays(batch.joints2d, batch.image_size, 1.0)
    shown = torch.cat([taken, torch.ones(6, 4, 17, 1)], dim=-1) @ turn.mT
    torch.testing.assert_close(shown[..., :2] / shown[..., 2:], rays, atol=1e-5, rtol=1e-5)


def test_a_view_that_shows_nothing_is_finite_and_said():
    batch = SyntheticConfig(instants=3, subjects=1).train().instants
    joints2d = batch.joints2d.clone()
    joints2d[0, 1] = torch.nan
    rays, weights, known, turn = person_centred_rays(batch.replaced(joints2d=joints2d), 1.0)
    assert rays.isfinite().all()
    assert turn.isfinite().all()
    assert (weights[0, 1] == 0).all()
    assert known.sum() == known.numel() - 1
    assert not known[0, 1]


def test_poses_that_are_not_whole_are_left_out_and_two_are_needed():
    targets = torch.randn(5, 48)
    targets[2, 7] = torch.nan
    assert complete_poses([targets[:2], targets[2:]], "Method").shape == (4, 48)
    with pytest.raises(ValueError, match="Method: 1 labelled instants"):
        complete_poses([targets[1:3]], "Method")


def test_a_collapsed_embedding_is_said():
    same = torch.nn.functional.normalize(torch.ones(4, 3, 8), dim=-1)
    assert str(embedding_facts(same)["embedding"]).startswith("collapsed")
    spread = torch.nn.functional.normalize(torch.randn(40, 3, 8), dim=-1)
    assert embedding_facts(spread)["embedding"] == "spread out"
