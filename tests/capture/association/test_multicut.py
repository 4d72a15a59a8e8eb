import numpy as np
import torch

from coview.capture.association.epipolar_affinity import BLOCK, Affinities
from coview.capture.association.multicut import greedy_edge_contraction, people_of_blocks


def symmetric(size: int, **pairs: float) -> np.ndarray:
    weights = np.zeros((size, size))
    for pair, value in pairs.items():
        a, b = int(pair[1]), int(pair[2])
        weights[a, b] = weights[b, a] = value
    return weights


def test_strong_pairs_are_joined_and_others_are_not():
    assert sorted(map(sorted, greedy_edge_contraction(symmetric(4, p01=5, p23=2, p12=-1)))) == [
        [0, 1],
        [2, 3],
    ]


def test_no_group_ever_holds_a_forbidden_pair():
    groups = greedy_edge_contraction(symmetric(3, p01=5, p12=4, p02=-np.inf))
    assert sorted(map(sorted, groups)) == [[0, 1], [2]]


def test_weights_add_up_so_that_many_outvote_one():
    # 0, 1, 2 are one person in three views; 3 is a rival of 0. 3 fits 1 well by chance, and 2 not at all.
    groups = greedy_edge_contraction(symmetric(4, p01=3, p02=3, p12=3, p13=2.5, p23=-5, p03=-np.inf))
    assert sorted(map(sorted, groups)) == [[0, 1, 2], [3]]


def scene(blocks: int, swap: int):
    """Two people far apart in three views; from block `swap` on, the tracks of view 2 show the other one."""
    frames = blocks * BLOCK
    body = torch.tensor([[0.0, 0.0], [40.0, 100.0], [-40.0, 100.0], [0.0, 200.0]])
    places = torch.tensor([[0.0, 0.0], [500.0, 0.0]])
    joints = (body + places[:, None]).expand(3, frames, 2, 4, 2).clone()
    track_ids = torch.arange(6).view(3, 1, 2).expand(3, frames, 2).clone()
    joints[2, swap * BLOCK :] = joints[2, swap * BLOCK :].flip(
        1
    )  # track 4 is at the left before, at the right after
    pairs = np.array([(a, b) for a in range(6) for b in range(a + 1, 6) if a // 2 != b // 2])
    rows = []
    for a, b in pairs:
        owners = np.array([[(a % 2), (b % 2)]] * blocks)
        for column, track_id in enumerate((a, b)):
            owners[swap:, column] ^= track_id >= 4
        rows.append(np.where(owners[:, 0] == owners[:, 1], 5.0, -5.0))
    return joints, track_ids, Affinities(pairs, np.zeros(len(pairs), dtype=int), tuple(rows))


def test_a_track_that_changes_owner_is_cut_and_handed_over():
    people = people_of_blocks(*scene(6, swap=3))
    assert (people[:, 0] == people[0, 0]).all()
    assert (people[:3, 4] == people[0, 0]).all()
    assert (people[3:, 4] == people[0, 1]).all()


def test_people_keep_their_numbers_when_every_track_is_renewed():
    joints, track_ids, evidence = scene(4, swap=4)
    track_ids[:, 2 * BLOCK :] += 6
    values = tuple(row[:2] for row in evidence.values)
    pairs = np.concatenate([evidence.pairs, evidence.pairs + 6])
    first = np.array([0] * len(values) + [2] * len(values))
    people = people_of_blocks(joints, track_ids, Affinities(pairs, first, values + values))
    assert people[0, 0] == people[3, 6]
    assert people[0, 1] == people[3, 7]
