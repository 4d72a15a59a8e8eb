"""2D joints moved to common instants, against motion that is known at every time."""

import numpy as np
import pytest
import torch

from coview.capture.importing.common_times import at_common_times, film_times, interpolated
from coview.formats.io.video import VideoInfo
from coview.formats.keypoints.view_joints import AlignedViews


def walk(times, people=1):
    """People whose joints move evenly, each at a speed of its own; pixels."""
    t = torch.as_tensor(times, dtype=torch.float64)[:, None, None]
    joint = torch.arange(4.0)[None, None]
    who = torch.arange(people)[None, :, None]
    x, y = 10 * who + (3 + who) * t / 3 + joint, 40 + 5.0 * joint + 0 * t * who
    x, y = torch.broadcast_tensors(x, y)
    return torch.stack([x, y, torch.full_like(x, 0.9)], dim=-1).float()


def test_a_slower_camera_shows_the_common_instants():
    taken = np.arange(60) * 1.01
    assert torch.allclose(interpolated(walk(taken), taken)[:58], walk(np.arange(58)), atol=1e-4)


def test_a_varying_rate_goes_by_its_times():
    taken = np.sort(np.arange(60) + np.random.default_rng(0).uniform(-0.4, 0.4, 60))
    found = interpolated(walk(taken), taken)[1:58]
    assert torch.allclose(found, walk(np.arange(1, 58)), atol=1e-4)


def test_people_are_matched_whatever_their_order():
    taken = np.arange(40) + 0.4
    points = walk(taken, people=2)
    points[::2] = points[::2].flip(1)
    found = interpolated(points, taken)[1:38].sort(dim=1).values
    assert torch.allclose(found, walk(np.arange(1, 38), people=2).sort(dim=1).values, atol=1e-4)


def test_nothing_is_made_up_where_pictures_were_lost():
    taken = np.array([0.0, 1.0, 6.0, 7.0])
    found = interpolated(
        walk(np.pad(taken, (0, 4), constant_values=8)), np.pad(taken, (0, 4), constant_values=8)
    )
    assert found[3:5].isnan().all()
    assert torch.allclose(found[[0, 1, 6, 7]], walk([0.0, 1, 6, 7]), atol=1e-4)


def test_a_joint_that_one_picture_shows_stays_only_where_it_is_near():
    taken = np.arange(6) + 0.4
    points = walk(taken)
    points[2, 0, 1] = torch.nan
    found = interpolated(points, taken)
    # frame 2 lies between pictures 1 (at 1.4) and 2 (at 2.4): without the joint in picture 2 it is not known
    assert found[2, 0, 1].isnan().all()
    assert found[2, 0, 0].isfinite().all()


def info(fps, uneven=False):
    return VideoInfo((64, 48), fps, 100, 0, uneven)


def test_rates_that_never_differ_by_a_picture_change_nothing(tmp_path):
    rates = {"a": 30.0, "b": 29.97}
    infos = {"a": info(30.0), "b": info(29.97)}
    assert film_times(infos, {}, rates, 30.0, 100) == {}


def test_files_that_say_another_rate_are_read_at_it():
    times = film_times({}, {}, {"a": 30.0, "b": 29.97}, 30.0, 1000)
    assert list(times) == ["b"]
    assert times["b"][999] == pytest.approx(999 * 30 / 29.97)
    taken = times["b"]
    aligned = AlignedViews([walk(np.arange(1000)), walk(taken)], 0, {"a": 0, "b": 0}, "")
    same, moved = at_common_times(aligned, ["a", "b"], times)
    assert torch.equal(same, aligned.points[0])
    assert torch.allclose(moved, same, atol=2e-3)


def test_rows_that_begin_within_the_recording_keep_its_beginning():
    """Drift counts from the first picture of the video, not from the first row."""
    taken = np.arange(1000) * 1.001
    aligned = AlignedViews([walk(taken[900:])], 900, {"b": 900}, "")
    [moved] = at_common_times(aligned, ["b"], {"b": taken})
    assert torch.allclose(moved[1:], walk(np.arange(901, 1000)), atol=2e-3)
