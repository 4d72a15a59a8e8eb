import numpy as np
import torch

from coview.capture.association.epipolar_affinity import (
    BLOCK,
    body_sizes,
    epipolar_errors,
    frame_affinity,
    track_affinities,
    typical_error,
)
from coview.data.synthetic.crowd import generated_crowd
from coview.data.synthetic.recordings import EXACT
from coview.geometry.epipolar.relative_pose import fundamental_from_projections

CROWD = generated_crowd(2, 2, 3 * BLOCK, noise=EXACT, missed=0.0, seed=0)
MATRIX = fundamental_from_projections(*CROWD.cameras.to(torch.float64).pixels_from_world)
JOINTS = CROWD.detections.joints.double()


def test_the_right_pairs_fit_and_the_wrong_ones_do_not():
    error = epipolar_errors(MATRIX, JOINTS[0], JOINTS[1])
    seen = error.isfinite()
    same = (CROWD.who[0][:, :, None] == CROWD.who[1][:, None]) & seen
    assert float(error[same].max()) < 0.05
    assert float(error[~same & seen].median()) > 5


def test_evidence_is_one_for_a_perfect_fit_and_bounded_against():
    value = frame_affinity(torch.tensor([0.0, 3.0, 1e9, torch.nan]), 1.0)
    torch.testing.assert_close(value, torch.tensor([1.0, 0.0, -1.0, 0.0]))


def test_what_right_pairs_miss_is_learnt_without_knowing_which_they_are():
    error = torch.tensor([[[0.01, 0.3], [0.2, 0.02]]])
    assert 0.009 < typical_error(error) < 0.021


def test_evidence_is_gathered_per_pair_of_tracks_and_block():
    track_ids = torch.where(CROWD.who > 0, CROWD.who - 1 + 2 * torch.arange(2)[:, None, None], -1)
    evidence = track_affinities(JOINTS, track_ids, {(0, 1): MATRIX})
    values = {tuple(pair): row for pair, row in zip(evidence.pairs.tolist(), evidence.values, strict=True)}
    assert set(values) <= {(0, 2), (0, 3), (1, 2), (1, 3)}
    assert values[0, 2].min() > 0
    assert values[1, 3].min() > 0
    assert np.mean(values[0, 3]) < 0


def test_views_that_nothing_relates_say_nothing():
    track_ids = torch.where(CROWD.who > 0, CROWD.who, -1)
    assert not len(track_affinities(JOINTS, track_ids, {}).pairs)


def test_a_body_has_the_size_of_its_box():
    square = torch.tensor([[0.0, 0.0], [30.0, 40.0]]).expand(1, 5, 1, 2, 2)
    assert body_sizes(square).tolist() == [50.0]
    assert body_sizes(torch.full((1, 5, 1, 2, 2), torch.nan)).tolist() == [1.0]
