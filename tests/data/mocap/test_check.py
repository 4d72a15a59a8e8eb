"""Verdicts on prepared folders: the shared one is sound, and every fault put in is found and named."""

import json
import re

import numpy as np
import pytest

from coview.data.mocap.check import check_folder
from coview.data.mocap.prepare import prepare
from coview.data.mocap.sources import find_sources
from coview.skeletons import MOCAP_19


@pytest.fixture
def folder(person, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, frames in (("01_01", 80), ("02_01", 80), ("11_01", 79)):
        (raw / f"{name}.bvh").write_text(person(frames=frames))
    list(prepare(find_sources(raw).sources, tmp_path / "out"))
    return tmp_path / "out"


def change(folder, name, edit, split="train"):
    path = folder / f"cmu_{split}.npz"
    arrays = dict(np.load(path))
    arrays[name] = edit(arrays[name])
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


def change_meta(folder, edit):
    meta = json.loads((folder / "meta.json").read_text())
    edit(meta)
    (folder / "meta.json").write_text(json.dumps(meta))


def test_a_sound_folder(folder):
    report = check_folder(folder)
    assert report.faults == ()
    assert report.notes == ("split val is empty",)
    train, val, test = report.rows
    assert (train.clips, train.subjects, val.clips, test.clips) == (2, 2, 0, 1)
    assert train.minutes == pytest.approx(80 / 60 / 60)
    assert train.stature == pytest.approx((1.606, 1.606), abs=0.01)
    assert train.worst_spread < 1e-5
    assert train.least_knee > 0.05
    assert train.up == "+Y"


def test_the_shared_folder_is_sound(shared_data):
    report = check_folder(shared_data / "mocap_cmu")
    assert report.faults == ()
    assert [row.clips for row in report.rows] == [122, 22, 10]
    # measured: bones vary by at most 0.1 mm, the least trunk is 0.503 of the leg, statures are 1.56 to 1.70 m
    assert max(row.worst_spread for row in report.rows) < 2e-4
    assert min(row.least_trunk for row in report.rows) > 0.5
    assert {row.up for row in report.rows} == {"+Y"}


def shortened(array):
    """Everything above the spine 115 mm lower, as without the bone `thorax`."""
    array = array.copy()
    upper = [n for n, j in enumerate(MOCAP_19.joints) if n >= MOCAP_19.index("thorax") and "toe" not in j]
    array[:, upper] -= array[:, [MOCAP_19.index("thorax")]] - array[:, [MOCAP_19.index("spine")]]
    return array


FAULTS = {
    "millimetres": (
        lambda a: a * 1000,
        r"cmu_01_01: the person is 160\d m tall.*in millimetres it would be right",
    ),
    "centimetres": (
        lambda a: a * 100,
        r"cmu_01_01: the person is 160\.\d m tall.*in centimetres it would be right",
    ),
    "too small": (
        lambda a: a * 0.5,
        r"cmu_01_01: the person is 0\.80\d* m tall, and people are 1\.2 to 2\.2 m\.",
    ),
    "mirrored": (
        lambda a: a * np.float32([-1, 1, 1]),
        r"cmu_01_01: knees flex and toes point backwards: the body is",
    ),
    "sides swapped": (
        lambda a: a[:, list(MOCAP_19.mirror)],
        "cmu_01_01: knees flex and toes point backwards",
    ),
    "axes swapped by mirroring": (
        lambda a: a[..., [0, 2, 1]],
        "cmu_01_01: knees flex and toes point backwards",
    ),
    "NaN": (
        lambda a: np.where(np.arange(len(a))[:, None, None] == 7, np.nan, a),
        "NaN or infinity, first in frame 7",
    ),
    "cut short": (lambda a: a[:-1], r"cmu_01_01: shape \(39, 19, 3\), meta\.json says \(40, 19, 3\)"),
    "17 joints": (lambda a: a[:, :17], r"cmu_01_01: shape \(40, 17, 3\)"),
    "lost": (lambda a: None, r"1 clips listed in meta\.json and not in cmu_train\.npz, e\.g\. cmu_01_01"),
    "without thorax": (shortened, r"cmu_01_01: the trunk is 0\.39 of the leg"),
    "bones that stretch": (
        lambda a: (
            a
            + np.sin(np.arange(len(a)))[:, None, None].astype(np.float32)
            * (np.arange(19) == 13)[:, None]
            * 0.05
        ),
        r"cmu_01_01: a bone that cannot stretch varies by \d+ mm",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(folder, fault):
    edit, message = FAULTS[fault]
    change(folder, "cmu_01_01", edit)
    report = check_folder(folder)
    assert len(report.faults) == 1, report.faults
    assert re.search(message, report.faults[0])


def test_all_clips_in_other_axes(folder):
    for name, split in (("cmu_01_01", "train"), ("cmu_02_01", "train"), ("cmu_11_01", "test")):
        change(folder, name, lambda a: a[..., [2, 0, 1]], split)
    (fault,) = check_folder(folder).faults
    assert fault.startswith("3 of 3 clips have the head along +Z of the ankles, and up must be +Y")


def test_one_who_lies_down_is_only_noted(folder):
    change(folder, "cmu_01_01", lambda a: a[..., [2, 0, 1]])
    report = check_folder(folder)
    assert report.faults == ()
    assert "cmu_01_01: the head is mostly along +Z of the ankles" in report.notes


def test_a_clip_that_nobody_lists(folder):
    change_meta(folder, lambda meta: meta["clips"].pop(0))
    assert "1 clips in cmu_train.npz and not listed in meta.json" in check_folder(folder).faults[0]


def test_a_person_in_train_and_test(folder):
    change_meta(folder, lambda meta: meta["clips"][-1].update(subject="cmu01"))
    assert check_folder(folder).faults == (
        "in train and in test: cmu01. Test figures would flatter the model.",
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("units", "mm", "units 'mm', up '+Y'; it must be m and +Y"),
        ("up", "+Z", "units 'm', up '+Z'"),
        ("joints", ["pelvis"], "the joints are pelvis; they must be pelvis, right_hip"),
        ("clips", [], "lists no clips"),
        ("parents", [0.5], "'parents' must be whole numbers"),
        ("parents", None, "'parents' must be whole numbers"),
    ],
)
def test_what_the_folder_says_of_itself(folder, key, value, message):
    change_meta(folder, lambda meta: meta.update({key: value}))
    assert message in check_folder(folder).faults[0]


def test_another_rate_and_a_clip_listed_twice(folder):
    change_meta(folder, lambda meta: meta["clips"][0].update(fps=30))
    change_meta(folder, lambda meta: meta["clips"].append(meta["clips"][1]))
    twice, rate = check_folder(folder).faults
    assert twice.startswith("cmu_02_01: meta.json lists this clip 2 times")
    assert rate.startswith("cmu_01_01: 30 frames per second instead of 60")


def test_a_clip_in_which_nobody_moves_is_noted(folder):
    change(folder, "cmu_01_01", lambda a: a[:1].repeat(len(a), axis=0))
    report = check_folder(folder)
    assert report.faults == ()
    assert "cmu_01_01: nobody moves in its 40 frames; all are one pose" in report.notes


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nothing was prepared in .*coview data prepare cmu_mocap SOURCE"
    ):
        check_folder(tmp_path)
