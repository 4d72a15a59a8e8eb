import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from coview.data.mocap.clips import Clip, read_clips
from coview.data.mocap.mocap4 import EVERY, REACH, Mocap4Config, centred
from coview.data.synthetic.recordings import EXACT
from coview.geometry.triangulation.triangulate import triangulate
from coview.skeletons import H36M_17, MOCAP_19


def clip(frames: int = 60) -> Clip:
    generator = torch.Generator().manual_seed(0)
    walk = torch.linspace(-4, 4, frames)[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
    return Clip(
        "walk", "s", walk + torch.randn(frames, 19, 3, generator=generator) / 8 + 1, 60.0
    )  # as tall as people


def prepared(folder: Path, clips: dict[str, tuple[str, ...]]) -> Path:
    """A prepared folder with one clip of 12 frames per split and subject."""
    entries = []
    for split, subjects in clips.items():
        arrays = {subject: clip(12).points.numpy() for subject in subjects}
        np.savez(folder / f"cmu_{split}.npz", **arrays)
        entries += [{"id": i, "split": split, "subject": i, "fps": 60, "frames": 12} for i in arrays]
    meta = {"joints": list(MOCAP_19.joints), "units": "m", "up": "+Y", "clips": entries}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def test_held_out_subjects_do_not_train_and_are_what_validation_holds(tmp_path):
    folder = prepared(tmp_path, {"train": ("cmu08", "cmu49", "cmu01"), "val": (), "test": ("cmu11",)})
    data = Mocap4Config(folder=folder, held_out=("cmu08", "cmu49"), split="held_out")
    assert (len(data.train()), len(data.validation())) == (2, 4)
    tested = Mocap4Config(folder=folder, held_out=("cmu08",))
    assert (len(tested.train()), len(tested.validation())) == (4, 2)
    assert len(Mocap4Config(folder=folder).train()) == 6


def test_an_empty_split_is_refused_with_a_way_out(tmp_path):
    folder = prepared(tmp_path, {"train": ("cmu08",), "val": (), "test": ()})
    with pytest.raises(
        ValueError, match=rf"{folder} has no clips for split 'val'\. .*use split 'test', or hold"
    ):
        Mocap4Config(folder=folder, split="val").validation()
    with pytest.raises(ValueError, match=r"split 'test'\. Prepare takes of subjects 11, 131 or 135"):
        Mocap4Config(folder=folder).validation()
    with pytest.raises(ValueError, match=r"split 'held_out'\. Name in held_out the subjects"):
        Mocap4Config(folder=folder, split="held_out").validation()
    with pytest.raises(ValueError, match=r"split 'train'\. .*hold fewer subjects out"):
        Mocap4Config(folder=folder, held_out=("cmu08",)).train()


def test_subjects_to_hold_out_must_be_there(tmp_path):
    folder = prepared(tmp_path, {"train": ("cmu08", "cmu01"), "val": (), "test": ("cmu11",)})
    data = Mocap4Config(folder=folder, held_out=("cmu08", "cmu11"), split="held_out")
    for instants in (data.train, data.validation):
        with pytest.raises(ValueError, match=r"held_out names 'cmu11'.* Known subjects: cmu01, cmu08\."):
            instants()


def test_every_sixth_pose_is_kept_within_reach_as_it_is():
    before, after = clip().points[::EVERY, :17], centred(clip())
    distance = after[:, 0, :2].norm(dim=-1)
    assert distance.max() <= REACH + 1e-5
    assert len(after) == 10
    torch.testing.assert_close(after - after[:, :1], before - before[:, :1])  # no pose is changed
    torch.testing.assert_close(after[..., 2], before[..., 2])  # no height either


def test_seventeen_joints_in_h36m_order():
    ours = {"neck": "nose"}
    assert [ours.get(j, j) for j in MOCAP_19.joints[:17]] == list(H36M_17.joints)


@pytest.mark.parametrize("views", [2, 3, 6])
def test_training_sees_as_many_cameras_as_asked_and_the_test_four(tmp_path, views):
    folder = prepared(tmp_path, {"train": ("cmu08",), "test": ("cmu11",)})
    usual, other = (Mocap4Config(folder=folder, views=count) for count in (4, views))
    seen, four = other.train().instants, usual.train().instants
    assert seen.joints2d.shape[1] == seen.confidence.shape[1] == seen.image_size.shape[1] == views
    assert seen.cameras.intrinsics.shape[1] == views
    if views < 4:  # the first of the four, and the very same detections
        torch.testing.assert_close(seen.cameras.centres, four.cameras.centres[:, :views])
        torch.testing.assert_close(seen.joints2d, four.joints2d[:, :views], equal_nan=True)
    centres = seen.cameras.centres[0]
    torch.testing.assert_close(centres[:, :2].norm(dim=-1), torch.full((views,), 5.0))
    gap = torch.atan2(centres[1, 1], centres[1, 0]) - torch.atan2(centres[0, 1], centres[0, 0])
    torch.testing.assert_close(gap, torch.tensor(2 * torch.pi / max(views, 4)))
    for ring in ("same", "near", "far"):
        tests = [replace(data, ring=ring).validation().instants for data in (usual, other)]
        torch.testing.assert_close(*(test.joints2d for test in tests), equal_nan=True)
        torch.testing.assert_close(*(test.cameras.centres for test in tests))


@pytest.mark.parametrize("views", [1, 9])
def test_numbers_of_cameras_that_are_no_benchmark(views):
    with pytest.raises(ValueError, match=rf"number of training cameras, 2 to 8, got {views}"):
        Mocap4Config(views=views)


def test_the_benchmark_is_what_the_design_says(shared_data):
    folder = shared_data / "mocap_cmu"
    data = Mocap4Config(folder=folder, noise=EXACT)
    train, test = data.train(), data.validation()
    assert (len(train), len(test)) == (11691, 782)
    expected = sum(len(c.points[::EVERY]) for c in read_clips(folder, "test"))
    assert len(test) == expected
    assert train.fields == data.provides
    cameras = data.cameras()
    torch.testing.assert_close(cameras.centres[:, 2], torch.full((4,), 1.5))
    torch.testing.assert_close(cameras.centres[:, :2].norm(dim=-1), torch.full((4,), 5.0))
    assert cameras.focal.unique().tolist() == [1145.0]
    batch = test.instants
    points = triangulate(batch.cameras, batch.joints2d.nan_to_num(0.0), batch.confidence)
    assert (points - batch.joints3d).norm(dim=-1).max() < 2e-3


def test_instants_say_who_and_when(shared_data):
    folder = shared_data / "mocap_cmu"
    train = Mocap4Config(folder=folder, noise=EXACT).train().instants
    clips = read_clips(folder, "train")
    assert train.sequence.unique().tolist() == list(range(len(clips)))
    assert int(train.subject.max()) + 1 == len({clip.subject for clip in clips})
    assert int((train.subject == 0).sum()) == sum(
        len(clip.points[::EVERY]) for clip in clips if clip.subject == clips[0].subject
    )
    torch.testing.assert_close(train.time[:3], torch.tensor([0.0, 0.1, 0.2]))
    assert (train.time[train.sequence == 5].diff() > 0).all()


def test_training_never_sees_the_other_rings(shared_data):
    folder = shared_data / "mocap_cmu"
    near = Mocap4Config(folder=folder, ring="near", noise=EXACT)
    torch.testing.assert_close(near.validation().instants.cameras.centres[0, :, 2], torch.full((4,), 2.6))
    torch.testing.assert_close(near.train().instants.cameras.centres[0, :, 2], torch.full((4,), 1.5))


def test_the_detector_errs_with_its_seed_and_not_alike_in_training_and_test(shared_data):
    folder = shared_data / "mocap_cmu"
    first, same, other = (Mocap4Config(folder=folder, seed=s).validation() for s in (0, 0, 1))
    assert torch.equal(first.instants.confidence, same.instants.confidence)
    assert not torch.equal(first.instants.confidence, other.instants.confidence)
    assert 0.01 < (first.instants.confidence == 0).float().mean() < 0.04
