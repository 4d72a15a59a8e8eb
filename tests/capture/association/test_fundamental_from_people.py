import torch

from coview.capture.association.epipolar_affinity import body_sizes, epipolar_errors
from coview.capture.association.fundamental_from_people import refit_fundamentals, search_fundamentals
from coview.capture.association.tracking import track_people
from coview.data.synthetic.crowd import generated_crowd

CROWD = generated_crowd(2, 2, 150, seed=1)
SMALL = (
    CROWD.detections.joints.double() / body_sizes(CROWD.detections.joints).double()[:, None, None, None, None]
)


def right_and_wrong(matrix):
    error = epipolar_errors(matrix, *SMALL)
    same = CROWD.who[0][:, :, None] == CROWD.who[1][:, None]
    return float(error[same].nanmedian()), float(error[~same].nanmedian())


def test_the_matrix_that_everybody_fits_is_found_without_knowing_who_is_who():
    track_ids = torch.stack([track_people(view) for view in CROWD.detections.joints])
    track_ids[1] += torch.where(track_ids[1] >= 0, 1000, 0)
    right, wrong = right_and_wrong(search_fundamentals(SMALL, track_ids)[0, 1])
    assert right < 0.012
    assert wrong > 3 * right


def test_who_is_who_gives_the_matrix():
    right, wrong = right_and_wrong(refit_fundamentals(SMALL, CROWD.who)[0, 1])
    assert right < 0.01
    assert wrong > 3 * right


def test_views_that_never_see_anybody_at_once_are_not_related():
    track_ids = torch.where(CROWD.who > 0, CROWD.who, -1)
    track_ids[0, 75:], track_ids[1, :75] = -1, -1
    assert search_fundamentals(SMALL, track_ids) == {}
