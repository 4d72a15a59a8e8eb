import pytest
import torch

from coview.geometry.self_calibration.error_clusters import error_clusters, variance_factor


def test_independent_errors_count_fully_and_repeated_ones_do_not():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 3, 10, 2, generator=generator)
    known = torch.rand(400, 3, 10, generator=generator) > 0.2
    assert variance_factor(noise, known) == 1.0
    held = noise[:100].repeat_interleave(4, dim=0)  # every error lasts four frames
    assert variance_factor(held, known) == pytest.approx(4.0, rel=0.15)


def test_nothing_known_is_nothing_correlated():
    assert variance_factor(torch.zeros(5, 2, 3, 2), torch.zeros(5, 2, 3, dtype=torch.bool)) == 1.0


def test_clusters_are_a_joint_for_a_while_and_people_for_less():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 3, 6, 2, generator=generator)
    known = torch.ones(400, 3, 6, dtype=torch.bool)
    white, repeated = (
        error_clusters(errors, known, people=2) for errors in (noise, noise[:20].repeat_interleave(20, dim=0))
    )
    assert len(white.joints) == 400 * 6
    assert len(white.joints.unique()) == 30 * 6  # independent: many short blocks
    assert len(repeated.joints.unique()) <= 6 * 6  # blocks of several correlation lengths
    assert len(white.people_briefly.unique()) == 10 * 2
    assert len(error_clusters(noise[:1].expand(9, -1, -1, -1), known[:9], people=1).joints.unique()) == 6
