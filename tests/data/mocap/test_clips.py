import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coview.data.mocap.clips import data_folder, read_clips, read_meta, z_up
from coview.skeletons import MOCAP_19


def prepared(folder, *, units="m", up="+Y", frames=5, points=None):
    """A prepared folder with one clip per split."""
    clips = []
    for split in ("train", "val", "test"):
        array = np.zeros((5, 19, 3), np.float32) if points is None else points
        np.savez(folder / f"cmu_{split}.npz", **{f"clip_{split}": array})
        clips.append({"id": f"clip_{split}", "split": split, "subject": "s", "fps": 60, "frames": frames})
    meta = {"joints": list(MOCAP_19.joints), "units": units, "up": up, "clips": clips}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def person_sized():
    """Joints without a shape whose bones add up to a person's stature."""
    return np.random.default_rng(0).normal(size=(5, 19, 3)).astype(np.float32) / 8


def test_where_it_lies(tmp_path, monkeypatch):
    assert data_folder(tmp_path) == tmp_path
    monkeypatch.setenv("COVIEW_DATA", "/some/where")
    assert str(data_folder()) == "/some/where/cmu_mocap"
    monkeypatch.setenv("COVIEW_DATA", "~/some/where")
    assert data_folder() == Path.home() / "some" / "where" / "cmu_mocap"
    (tmp_path / "file").touch()
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path / "file"))
    with pytest.raises(NotADirectoryError, match=r"COVIEW_DATA is '.*file', which is a file\. Set it"):
        data_folder()
    monkeypatch.delenv("COVIEW_DATA")
    assert data_folder().parts[-4:] == (".cache", "coview", "data", "cmu_mocap")


def test_z_up_is_a_rotation():
    axes = z_up(torch.eye(3))
    assert torch.linalg.det(axes) == 1
    assert z_up(torch.tensor([0.0, 2.0, 0.0])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_real_clips_stand_upright_and_are_not_mirrored(shared_data, split):
    points = torch.cat([clip.points for clip in read_clips(shared_data / "mocap_cmu", split)])
    at = {name: points[:, MOCAP_19.index(name)] for name in MOCAP_19.joints}
    height = (at["head_top"] - at["left_ankle"])[:, 2].median()
    assert 1.2 < height < 1.9
    # toes point the way that left hip, right hip and trunk make forward; hanging and climbing feet may not
    forward = torch.linalg.cross(at["left_hip"] - at["right_hip"], at["thorax"] - at["pelvis"])
    toes = at["left_toe"] - at["left_ankle"] + at["right_toe"] - at["right_ankle"]
    assert ((forward * toes).sum(dim=-1) > 0).float().mean() > 0.9


def test_order_and_units_follow_the_meta_file(tmp_path):
    points = person_sized()
    (clip,) = read_clips(prepared(tmp_path, points=points), "val")
    assert (clip.name, clip.subject, clip.fps) == ("clip_val", "s", 60.0)
    np.testing.assert_array_equal(clip.points[..., 2], points[..., 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": "mm"}, "units 'mm' and up '.Y'"),
        ({"up": "+Z"}, "up '.Z'; prepared motion is in m with .Y up"),
        ({"frames": 6}, r"clip 'clip_val' has shape \(5, 19, 3\), expected \(6, 19, 3\)"),
        ({"points": np.full((5, 19, 3), np.nan, np.float32)}, "holds NaN"),
        (
            {"points": person_sized() * 1000},
            r"cmu_val\.npz: the person in clip 'clip_val' is \d+ m tall, .*`coview data check cmu_mocap ",
        ),
        ({"points": person_sized() / 100}, r"'clip_val' is 0\.0\d+ m tall, so the clip is not in metres"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        read_clips(prepared(tmp_path, **options), "val")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda meta: [], r"meta\.json: it is \[\], and must be an object with joints"),
        (lambda meta: meta | {"joints": None}, r"'joints' is missing or null, and must be a list of names"),
        (lambda meta: meta | {"clips": None}, "'clips' is missing or null, and must be a list of clips"),
        (lambda meta: meta | {"clips": [3]}, "entry 0 of 'clips' is 3"),
        (lambda meta: meta["clips"][1].pop("subject") and meta, "'subject' of clip 'clip_val' is missing or"),
        (
            lambda meta: meta["clips"][1].update(fps="60") or meta,
            "'fps' of clip 'clip_val' is '60', and must",
        ),
        (lambda meta: meta["clips"][1].update(frames=5.5) or meta, "'frames' of clip 'clip_val' is 5.5"),
        (lambda meta: meta["clips"][1].update(split=[]) or meta, "one of train, val, test"),
        (lambda meta: meta["clips"][1].pop("id") and meta, "'id' of clip 'number 1' is missing"),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path, edit, message):
    path = prepared(tmp_path, points=person_sized()) / "meta.json"
    assert len(read_meta(tmp_path)["clips"]) == 3
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    for read in (read_meta, lambda folder: read_clips(folder, "val")):
        with pytest.raises(ValueError, match=message):
            read(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no zip", None])
def test_a_damaged_file_is_to_be_prepared_again(tmp_path, damage):
    path = prepared(tmp_path, points=person_sized()) / "cmu_val.npz"
    path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
    with pytest.raises(ValueError, match=r"cmu_val\.npz is damaged.*Prepare the folder again"):
        read_clips(tmp_path, "val")


def test_nothing_prepared_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="coview data prepare cmu_mocap SOURCE"):
        read_clips(tmp_path, "train")
    prepared(tmp_path)
    np.savez(tmp_path / "cmu_val.npz", other=np.zeros((5, 19, 3), np.float32))
    with pytest.raises(ValueError, match=r"lacks 1 clips .* 'clip_val'"):
        read_clips(tmp_path, "val")
