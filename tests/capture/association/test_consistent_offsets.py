import torch

from coview.capture.association.consistent_offsets import PairShift, consistent_offsets


def test_pairs_that_agree_give_their_offsets():
    pairs = [PairShift(0, 1, 40.0, 0.3), PairShift(1, 2, -40.0, 0.3), PairShift(0, 2, 0.0, 0.6)]
    assert consistent_offsets(pairs, 3).tolist() == [0.0, 40.0, 0.0]


def test_a_shift_that_does_not_close_a_cycle_of_cameras_is_dropped():
    pairs = [PairShift(0, 1, 348.0, 0.4), PairShift(0, 2, 0.0, 0.5), PairShift(1, 2, 0.0, 0.5)]
    assert consistent_offsets(pairs, 3).tolist() == [0.0, 0.0, 0.0]


def test_a_late_first_camera_makes_all_others_early():
    pairs = [PairShift(0, 1, -25.0, 0.4), PairShift(0, 2, -25.0, 0.4), PairShift(1, 2, 0.0, 0.6)]
    assert consistent_offsets(pairs, 3).tolist() == [0.0, -25.0, -25.0]


def test_cameras_that_nothing_ties_to_the_first_are_on_time():
    pairs = [PairShift(1, 2, 30.0, 0.4), PairShift(2, 3, -30.0, 0.4), PairShift(1, 3, 0.0, 0.6)]
    assert consistent_offsets(pairs, 4).tolist() == [0.0, 0.0, 30.0, 0.0]
    assert torch.equal(consistent_offsets([], 2), torch.zeros(2, dtype=torch.float64))
