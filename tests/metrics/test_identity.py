import torch

from coview.metrics.identity import identity_score

TRUTH = torch.tensor([[[1, 2], [2, 1], [1, 2], [1, -1]], [[1, 2], [1, 2], [2, 1], [1, 2]]])


def test_other_numbers_for_the_same_people_are_right():
    found = torch.where(TRUTH > 0, 3 - TRUTH, -1)
    score = identity_score(found, TRUTH)
    assert (score.accuracy, score.switches, score.unassigned, score.people) == (1.0, 0, 0.0, 2)


def test_numbers_that_differ_between_views_are_right_in_one_of_them():
    found = TRUTH.clone()
    found[1] = 3 - found[1]  # by hand: 7 detections in the first view, 8 in the second
    score = identity_score(found, TRUTH)
    assert abs(score.accuracy - 8 / 15) < 1e-9
    assert score.switches == 0


def test_a_switch_is_counted_once_per_person_and_change():
    found = TRUTH.clone()
    found[1, 2:] = 3 - found[1, 2:]
    assert identity_score(found, TRUTH).switches == 2


def test_detections_without_a_number_are_missed_and_no_switch():
    found = TRUTH.clone()
    found[0, 1] = -1
    score = identity_score(found, TRUTH)
    assert abs(score.unassigned - 2 / 15) < 1e-9
    assert score.switches == 0
