import pytest
import torch

from coview.methods.shared.triplets import distances, hard_triplets, random_triplets, softmax_loss
from coview.networks.encoders import unit


def test_hard_triplets_of_a_hand_made_table():
    """T2 by hand: rows are anchors, columns positives; the negative is the nearer of row and column."""
    distance = torch.tensor([[0.2, 0.9, 0.5], [0.6, 0.3, 0.8], [0.7, 0.4, 0.1]])
    off = ~torch.eye(3).bool()
    found = hard_triplets(distance, off, semi_hard=False)
    assert found.positive.tolist() == pytest.approx([0.2, 0.3, 0.1])
    assert found.negative.tolist() == pytest.approx([0.5, 0.4, 0.4])  # row 0; column 1; row 2
    loss = (0.3 + found.positive - found.negative).clamp_min(0)
    assert loss.tolist() == pytest.approx([0.0, 0.2, 0.0], abs=1e-6)


def test_only_admissible_negatives_count():
    distance = torch.tensor([[0.2, 0.9, 0.5], [0.6, 0.3, 0.8], [0.7, 0.4, 0.1]])
    pairs = torch.tensor([[False, True, False], [True, False, False], [False, False, False]])
    found = hard_triplets(distance, pairs, semi_hard=False)
    assert found.valid.tolist() == [True, True, False]
    assert found.negative.tolist() == pytest.approx([0.6, 0.6, 0.0])
    picked = random_triplets(distance, pairs)
    assert picked.valid.tolist() == [True, True, False]
    assert picked.negative.tolist() == pytest.approx([0.9, 0.6, 0.0])


def test_duplicates_are_no_negatives_and_semi_hard_ones_are_farther_than_the_positive():
    distance = torch.tensor([[0.5, 0.007, 0.4], [0.9, 0.3, 0.6], [0.8, 0.9, 0.1]])
    off = ~torch.eye(3).bool()
    assert hard_triplets(distance, off, semi_hard=False).negative.tolist() == pytest.approx([0.4, 0.6, 0.4])
    # nothing nearer than 0.5 is left for the first, whose row holds 0.4 and 0.007, and whose column holds 0.9 and 0.8
    assert hard_triplets(distance, off, semi_hard=True).negative.tolist() == pytest.approx([0.8, 0.6, 0.4])
    close = torch.full((2, 2), 0.4).fill_diagonal_(1.0)
    assert hard_triplets(close, ~torch.eye(2).bool(), semi_hard=True).negative.tolist() == pytest.approx(
        [0.4, 0.4]
    )


def test_distances_and_the_softmax_over_them():
    anchors, positives = unit(torch.randn(5, 8)), unit(torch.randn(5, 8))
    distance = distances(anchors, positives)
    torch.testing.assert_close(distance, torch.cdist(anchors, positives), atol=1e-3, rtol=0)
    off = ~torch.eye(5).bool()
    logits = anchors @ positives.mT / 0.2
    number = torch.arange(5)
    slow = [torch.nn.functional.cross_entropy(each, number, reduction="none") for each in (logits, logits.mT)]
    torch.testing.assert_close(softmax_loss(distance, off, 0.2), (slow[0] + slow[1]) / 2, atol=1e-4, rtol=0)
    alone = softmax_loss(distance, torch.zeros(5, 5).bool(), 0.2)
    torch.testing.assert_close(alone, torch.zeros(5), atol=1e-5, rtol=0)  # nothing to be told from
