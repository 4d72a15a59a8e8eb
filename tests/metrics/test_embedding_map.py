import pytest
import torch

from coview.metrics.embedding_map import GROUPS, embedding_map
from coview.networks.encoders import unit


def test_the_plane_is_that_of_most_variance_and_groups_are_of_poses():
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(40) % 2  # two kinds of pose, two directions of the embedding
    poses = 0.01 * torch.randn(40, 17, 3, generator=generator) + kind[:, None, None]
    embedding = 0.01 * torch.randn(40, 3, 8, generator=generator)
    embedding[..., 0] += 2.0 * kind[:, None] - 1
    drawn = embedding_map(unit(embedding), poses)
    assert drawn.place.shape == (120, 2)
    assert drawn.view[:4].tolist() == [0, 1, 2, 0]
    assert drawn.kept_percent > 95
    first = drawn.place[:, 0].reshape(40, 3)
    assert (first.sign() == first.sign()[0, 0] * (1 - 2 * (kind != kind[0]).float())[:, None]).all()
    groups = drawn.group.reshape(40, 3)[:, 0]
    assert not set(groups[kind == 0].tolist()) & set(groups[kind == 1].tolist())
    assert int(groups.max()) < GROUPS


def test_large_data_is_thinned_and_gaps_are_left_out():
    embedding = unit(torch.randn(500, 4, 8))
    embedding[0, 2] = torch.nan
    drawn = embedding_map(embedding, torch.randn(500, 17, 3))
    assert 600 < len(drawn.place) <= 800
    assert drawn.place.isfinite().all()


def test_nothing_to_draw_says_so():
    with pytest.raises(ValueError, match="no instant has both a whole pose and an embedding"):
        embedding_map(torch.full((3, 2, 4), torch.nan), torch.randn(3, 17, 3))
