"""Absent is absent, whatever a file wrote for it; npz files go round."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.keypoints.detections import Detections, read_detections, stack_views, write_detections
from coview.formats.keypoints.openpose import read_openpose_folder


@pytest.mark.parametrize(
    ("x", "y", "confidence"),
    [
        (1.0, 2.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.7),
        (torch.nan, 2.0, 0.5),
        (1.0, torch.inf, 0.5),
        (1.0, 2.0, torch.nan),
        (1.0, 2.0, -0.1),
    ],
)
def test_zeros_and_nan_are_missing(x, y, confidence):
    made = Detections.make(torch.tensor([x, y, confidence]).expand(1, 1, 1, 1, 3))
    assert made.joints.isnan().all()
    assert made.confidence.item() == 0
    assert made.points.isnan().all()


def test_confidence_is_cut_to_one_and_an_edge_pixel_stays():
    made = Detections.make(torch.tensor([0.0, 3.0, 6.5]).expand(1, 1, 1, 1, 3))
    assert made.joints.flatten().tolist() == [0, 3]
    assert made.confidence.item() == 1


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_round_trip(tmp_path_factory, seed, views, frames, people, joints):
    random = torch.Generator().manual_seed(seed)
    points = torch.rand(views, frames, people, joints, 3, generator=random) * 2 - 0.5
    given = Detections.make(points)
    folder, names = tmp_path_factory.mktemp("joints2d"), tuple(f"cam{n}" for n in range(views))
    write_detections(folder, names, given)
    found = read_detections(folder, names)
    torch.testing.assert_close(found.joints, given.joints, equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(found.confidence, given.confidence, rtol=0, atol=0)
    assert torch.equal(found.confidence > 0, found.joints.isfinite().all(dim=-1))


def test_files_are_plain_numbers(tmp_path):
    write_detections(tmp_path, ("a",), Detections.make(torch.rand(1, 2, 1, 3, 3)))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["joints"].shape == (2, 1, 3, 3)
        assert file["joints"].dtype == np.float32


def test_people_are_padded():
    stacked = stack_views([torch.ones(3, 1, 2, 3), torch.ones(3, 2, 2, 3)])
    assert stacked.shape == (2, 3, 2, 2, 3)
    assert stacked[0, :, 1].isnan().all()


def test_messages(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.zeros((4, 1, 5, 3), dtype=np.float32))
    np.savez(tmp_path / "b.npz", joints=np.zeros((3, 1, 5, 3), dtype=np.float32))
    np.savez(tmp_path / "c.npz", other=np.zeros(3))
    with pytest.raises(FileNotFoundError, match="camera 'x' has no 2D joints"):
        read_detections(tmp_path, ("a", "x"))
    with pytest.raises(ValueError, match="do not fit together: a: 4 frames of 5 joints, b: 3 frames of 5"):
        read_detections(tmp_path, ("a", "b"))
    with pytest.raises(ValueError, match=r"needs a float array 'joints' .* found \{'other'"):
        read_detections(tmp_path, ("c",))
    with pytest.raises(ValueError, match="the session names none"):
        read_detections(tmp_path, ())


def two_people(frames=20, shift=5.0):
    """A large person who walks right and a small one who stands; their order is mixed from frame to frame."""
    body = torch.tensor([[0.0, 0], [40, 0], [0, 100], [40, 100]]) + 10
    large = body + torch.arange(frames)[:, None, None] * torch.tensor([shift, 0])
    small = (body * 0.3 + 60).expand(frames, -1, -1)
    order = torch.arange(frames) % 2 == 0
    people = torch.stack([large, small], dim=1)
    people[order] = people[order].flip(1)
    return large, torch.cat([people, torch.ones(frames, 2, 4, 1)], dim=-1)[None]


def test_one_person_is_followed():
    large, points = two_people()
    joints, confidence = Detections.make(points).single()
    torch.testing.assert_close(joints[0], large)
    assert (confidence == 1).all()


def test_a_gap_is_nan_and_the_person_is_found_again():
    large, points = two_people()
    points[0, 7:10][points[0, 7:10, :, :, 0] == large[7:10, None, :, 0]] = torch.nan
    joints, confidence = Detections.make(points).single()
    assert joints[0, 7:10].isnan().all(), "nobody else takes the place"
    assert (confidence[0, 7:10] == 0).all()
    torch.testing.assert_close(joints[0, 10:], large[10:])


def test_one_person_per_view_is_the_identity():
    detections = Detections.make(torch.rand(2, 4, 1, 3, 3))
    joints, confidence = detections.single()
    assert torch.equal(joints, detections.joints[:, :, 0])
    assert torch.equal(confidence, detections.confidence[:, :, 0])


def test_nobody_at_all():
    joints, confidence = Detections.make(torch.zeros(1, 3, 2, 4, 3)).single()
    assert joints.isnan().all()
    assert (confidence == 0).all()


def test_the_real_recording(shared_data):
    # Pose2Sim chose the person by reprojection; following one per view agrees in 398 of 400
    # frames (it left out cam03 in one frame, and in cam01 one frame is a close call).
    chosen = {}
    for kind in ("pose", "pose-associated"):
        folder = shared_data / "pose2sim_single" / "balancing" / kind
        views = [read_openpose_folder(folder / f"cam0{n}_json").points for n in range(1, 5)]
        chosen[kind] = Detections.make(stack_views(views)).single()[0]
    same = torch.isclose(chosen["pose"], chosen["pose-associated"], equal_nan=True).all(dim=-1).all(dim=-1)
    assert int(same.sum()) >= 398
