import torch

from coview.capture.association.tracking import Track, gate_radius, track_people
from coview.data.synthetic.crowd import generated_crowd

BODY = torch.tensor([[0.0, 0.0], [40.0, 30.0], [-40.0, 30.0], [0.0, 100.0], [30.0, 200.0], [-30.0, 200.0]])


def walks(*starts_and_steps: tuple[float, float], frames: int = 30) -> torch.Tensor:
    """People who move sideways at constant speed: (frames, people, joints, 2)."""
    steps = torch.arange(frames, dtype=torch.float32)
    people = [
        BODY + torch.stack([start + step * steps, 0 * steps], -1)[:, None] for start, step in starts_and_steps
    ]
    return torch.stack(people, dim=1)


def test_tracks_do_not_depend_on_the_order_of_people():
    joints = walks((0.0, 5.0), (600.0, -5.0))
    joints[1::2] = joints[1::2].flip(1)
    tracks = track_people(joints)
    assert (tracks[::2] == torch.tensor([0, 1])).all()
    assert (tracks[1::2] == torch.tensor([1, 0])).all()


def test_a_gap_is_bridged_and_a_long_one_is_not():
    joints = walks((0.0, 4.0), frames=60)
    joints[10:18] = torch.nan
    joints[30:45] = torch.nan
    tracks = track_people(joints, max_gap=10)[:, 0]
    assert tracks[9] == tracks[20] == 0
    assert tracks[50] == 1
    assert (tracks[10:18] == -1).all()


def test_where_two_people_cannot_be_told_apart_both_tracks_end():
    joints = walks((0.0, 5.0), (145.0, -5.0))  # the same pose at the same place in frame 14 or so
    tracks = track_people(joints)
    assert not set(tracks[:10].unique().tolist()) & set(tracks[-10:].unique().tolist())


def test_a_person_found_twice_counts_once():
    joints = walks((0.0, 5.0), (1.0, 5.0))
    tracks = track_people(joints)
    assert (tracks[:, 0] == 0).all()
    assert (tracks[:, 1] == -1).all()


def test_tracks_of_a_crowd_hold_one_person_each():
    crowd = generated_crowd(3, 1, 150, seed=1)
    tracks, who = track_people(crowd.detections.joints[0]), crowd.who[0]
    right = sum(int(torch.bincount(who[tracks == track]).max()) for track in tracks[tracks >= 0].unique())
    assert right >= 0.98 * int((who > 0).sum())


def test_nobody_gives_no_track():
    assert (track_people(torch.full((4, 2, 6, 2), torch.nan)) == -1).all()


def test_the_longer_somebody_is_missed_the_wider_they_are_looked_for():
    track = Track.started(0, 5, BODY.double().numpy())
    assert gate_radius(track, 12) > gate_radius(track, 6)
