from pathlib import Path

import pytest
import torch

from coview.data.rendering.scenes import (
    generated_people,
    generated_whereabouts,
    recorded_people,
    recorded_whereabouts,
)


def test_people_stand_near_the_origin_on_the_floor():
    people = generated_people(60, 6, seed=0)
    assert people.joints3d.shape == (60, 17, 3)
    assert people.joints3d[:, 0, :2].norm(dim=-1).max() < 0.81
    assert people.joints3d[..., 2].min() > 0
    assert people.subject.unique().tolist() == list(range(6))
    assert people.figure.unique().numel() == 6


def test_moving_people_keeps_their_poses():
    """Bones keep their lengths over all scenes of a subject."""
    people = generated_people(40, 2, seed=1)
    thigh = (people.joints3d[:, 1] - people.joints3d[:, 2]).norm(dim=-1)
    for subject in (0, 1):
        assert thigh[people.subject == subject].std() < 1e-4


def test_other_seeds_are_other_people():
    one, other = generated_people(20, 4, seed=0), generated_people(20, 4, seed=1)
    assert not set(one.figure.tolist()) & set(other.figure.tolist())
    assert torch.cdist(one.joints3d.flatten(1), other.joints3d.flatten(1)).min() > 0.1


def test_recorded_people_are_spread_over_the_clips(shared_data: Path):
    folder = shared_data / "mocap_cmu"
    if not (folder / "meta.json").is_file():
        pytest.skip(f"no prepared motion in {folder}")
    people = recorded_people(50, folder, "val", seed=0)
    assert people.joints3d.shape == (50, 17, 3)
    assert people.joints3d[:, 0, :2].norm(dim=-1).max() < 0.81
    assert len(people.subject.unique()) > 2


def test_whereabouts_are_those_of_the_people_made_with_the_same_numbers():
    found = generated_whereabouts(50, 4)
    assert torch.equal(found.subject, generated_people(50, 4, seed=0).subject)
    assert torch.equal(found.sequence, found.subject)
    assert found.time[:3].tolist() == [0.0, 0.5, 1.0]
    assert (found.time.diff() < 0).sum() == 3  # every motion begins at 0


def test_recorded_whereabouts_name_the_clip_and_the_second(shared_data: Path):
    folder = shared_data / "mocap_cmu"
    if not (folder / "meta.json").is_file():
        pytest.skip(f"no prepared motion in {folder}")
    found = recorded_whereabouts(400, folder, "val")
    assert torch.equal(found.subject, recorded_people(400, folder, "val", seed=0).subject)
    later = found.time.diff()
    assert (later[found.sequence.diff() == 0] > 0).all()
    assert len(found.sequence.unique()) > len(found.subject.unique())
    assert found.time.min() == 0
