from coview.capture.association.association import tracked_detections
from coview.capture.association.shift_proposals import proposed_shifts
from coview.data.synthetic.crowd import generated_crowd


def test_the_shift_at_which_people_move_alike_is_proposed_and_none_beyond_reach():
    crowd = generated_crowd(2, 2, 250, time_offsets=(0.0, 40.0), seed=1)
    own = tracked_detections(crowd.detections.joints, crowd.detections.confidence)
    found = proposed_shifts(own, 25.0, 100, 0, (), thorough=True)
    assert min(abs(shift - 40) for shift in found) <= 4
    assert all(abs(shift) <= 30 for shift in proposed_shifts(own, 25.0, 30, 0, (12, 60), thorough=True))


def test_what_other_pairs_imply_comes_first_and_near_ones_are_one():
    crowd = generated_crowd(2, 2, 60, kind="still", seed=1)
    own = tracked_detections(crowd.detections.joints, crowd.detections.confidence)
    assert proposed_shifts(own, 25.0, 20, 15, (14, -9, 2, 8), thorough=False) == [15, -9, 8]
