"""From raw files to clips that are read back: whole or not at all, again and again."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from coview.data.mocap.check import check_folder
from coview.data.mocap.clips import read_clips
from coview.data.mocap.prepare import (
    META_JOINTS,
    META_PARENTS,
    copy_prepared,
    is_prepared,
    prepare,
    resample,
    smooth_spans,
)
from coview.data.mocap.sources import find_sources


@pytest.fixture
def downloads(person, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name, frames in (("01_01", 120), ("01_02", 80), ("11_01", 119)):
        (folder / f"{name}.bvh").write_text(person(frames=frames))
    return folder


def run(source, out, **settings):
    return list(prepare(find_sources(source).sources, out, **settings))


def test_raw_files_become_clips_that_are_read_back(downloads, tmp_path):
    out = tmp_path / "out"
    results = run(downloads, out)
    assert [result.problem for result in results] == [""] * 3
    train, test = read_clips(out, "train"), read_clips(out, "test")
    assert [(clip.name, clip.subject, len(clip.points), clip.fps) for clip in (*train, *test)] == [
        ("cmu_01_01", "cmu01", 60, 60.0),
        ("cmu_01_02", "cmu01", 40, 60.0),
        ("cmu_11_01", "cmu11", 60, 60.0),
    ]
    assert read_clips(out, "val") == ()
    assert train[0].points[..., 2].max() > 1.0, "z is up"
    assert check_folder(out).faults == ()
    assert sorted(path.name for path in out.iterdir()) == [
        "cmu_test.npz",
        "cmu_train.npz",
        "cmu_val.npz",
        "meta.json",
    ]


def test_the_real_samples(shared_data, tmp_path):
    out = tmp_path / "out"
    run(shared_data / "mocap_cmu" / "raw_samples", out)
    reference = {clip.name: clip for clip in read_clips(shared_data / "mocap_cmu", "train")}
    clips = read_clips(out, "train")
    assert [clip.name for clip in clips] == ["cmu_02_01", "cmu_02_03", "cmu_09_06"]
    for clip in clips:
        assert float((clip.points - reference[clip.name].points).norm(dim=-1).max()) < 0.11e-3
    entry = json.loads((out / "meta.json").read_text())["clips"][-1]
    assert (entry["id"], entry["grade"], entry["src_frames"]) == ("cmu_131_01", "B", [0, 994])
    assert entry["repair"].startswith("the missing bone `thorax` was put back")
    assert check_folder(out).faults == ()


def test_the_words_of_the_layout_are_those_of_the_shared_one(shared_data):
    meta = json.loads((shared_data / "mocap_cmu" / "meta.json").read_text())
    assert (meta["joints"], meta["parents"]) == (META_JOINTS, META_PARENTS)


def test_finished_clips_are_kept_and_new_ones_added(downloads, person, tmp_path):
    out = tmp_path / "out"
    run(downloads, out)
    before = (out / "meta.json").stat().st_mtime_ns
    assert all(result.kept for result in run(downloads, out))
    assert (out / "meta.json").stat().st_mtime_ns == before, "nothing to do, nothing written"
    more = tmp_path / "more"
    more.mkdir()
    (more / "03_01.bvh").write_text(person())
    assert [result.kept for result in run(more, out)] == [False]
    assert [clip.name for clip in read_clips(out, "train")] == ["cmu_03_01", "cmu_01_01", "cmu_01_02"]
    assert check_folder(out).faults == ()


def test_other_content_under_the_same_name_is_not_mixed_in(downloads, person, tmp_path):
    out = tmp_path / "out"
    run(downloads, out)
    (downloads / "01_02.bvh").write_text(person(frames=100))
    with pytest.raises(
        ValueError, match=r"already holds 1 of these clips, made from other files.*cmu_01_02.*--overwrite"
    ):
        run(downloads, out)
    run(downloads, out, overwrite=True)
    assert [len(clip.points) for clip in read_clips(out, "train")] == [60, 50]


def test_an_interrupted_call_leaves_no_half_file_and_is_taken_up(downloads, tmp_path):
    out = tmp_path / "out"
    steps = prepare(find_sources(downloads).sources, out)
    next(steps), next(steps)
    steps.close()
    assert not is_prepared(out)
    with pytest.raises(FileNotFoundError, match="no prepared motion"):
        read_clips(out, "train")
    assert [result.kept for result in run(downloads, out)] == [True, True, False]
    assert check_folder(out).faults == ()


def test_a_killed_process_leaves_no_half_file(downloads, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "coview.cli.main",
            "data",
            "prepare",
            "cmu_mocap",
            downloads,
            "--out",
            out,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    with process:
        assert b"cmu_01_01" in process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    for path in out.rglob("*.npz"):
        if ".part" not in path.name:
            with np.load(path) as file:
                assert all(np.isfinite(file[name]).all() for name in file.files if name != "entries")
    assert run(downloads, out)[0].kept
    assert check_folder(out).faults == ()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_take_that_cannot_be_used_is_told_and_the_others_go_on(downloads, tmp_path):
    text = (downloads / "01_02.bvh").read_text()
    (downloads / "01_02.bvh").write_text(text[: len(text) // 2])
    results = run(downloads, tmp_path / "out")
    assert "01_02.bvh" in results[1].problem
    assert len(read_clips(tmp_path / "out", "train")) == 1


def test_none_can_be_used(tmp_path, person):
    (tmp_path / "01_01.bvh").write_text(person(frames=20))
    with pytest.raises(ValueError, match="none of the 1 takes could be used"):
        run(tmp_path, tmp_path / "out")
    assert not is_prepared(tmp_path / "out")


def test_damaged_files_are_told(downloads, tmp_path):
    out = tmp_path / "out"
    run(downloads, out)
    (out / "cmu_train.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"cmu_train\.npz is damaged or missing\. Pass --overwrite"):
        run(downloads, out)
    run(downloads, out, overwrite=True)
    assert check_folder(out).faults == ()


def test_a_prepared_folder_is_verified_and_copied(downloads, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run(downloads, first)
    assert copy_prepared(first, second)
    assert not copy_prepared(first, second), "there already"
    assert len(read_clips(second, "train")) == 2
    meta = json.loads((first / "meta.json").read_text())
    meta["clips"][0]["frames"] = 7
    (first / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(
        ValueError, match=r"is not sound, so nothing was copied:\n  cmu_01_01: shape \(60, 19, 3\)"
    ):
        copy_prepared(first, second)
    assert len(read_clips(second, "train")) == 2


def test_a_copy_does_not_replace_another_preparation(downloads, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run(downloads, first)
    shutil.copytree(first, second)
    (second / "meta.json").write_text((second / "meta.json").read_text() + " ")
    with pytest.raises(ValueError, match=r"already holds another preparation\. Pass --overwrite"):
        copy_prepared(first, second)
    assert copy_prepared(first, second, overwrite=True)


def test_glitches_and_gaps_are_cut_out():
    points = torch.zeros(100, 19, 3)
    points[40, 5] = 1.0  # 120 m/s there and back
    points[70:72, 3] = torch.nan
    assert smooth_spans(points, 120.0) == [(0, 40), (40, 41), (41, 70), (72, 100)]
    assert smooth_spans(torch.zeros(1, 19, 3), 120.0) == [(0, 1)]
    steady = torch.arange(100.0)[:, None, None].expand(100, 19, 3) * (19.9 / 120 / 3**0.5)
    assert smooth_spans(steady, 120.0) == [(0, 100)], "19.9 m/s is allowed"


def test_pieces_are_named_and_short_ones_dropped(downloads, person, tmp_path):
    lines = person(frames=200).splitlines()
    first = lines.index("MOTION") + 3
    lines[first + 90] = "500" + lines[first + 90][1:]  # one frame five metres away
    (downloads / "01_01.bvh").write_text("\n".join(lines))
    result = run(downloads, tmp_path / "out")[0]
    assert [(clip["id"], clip["src_frames"]) for clip in result.clips] == [
        ("cmu_01_01_s0", [0, 90]),
        ("cmu_01_01_s1", [91, 200]),
    ]
    assert result.notes[-1].startswith("1 frames cut out: a gap, a joint faster than 20 m/s")
    assert all(result.kept for result in run(downloads, tmp_path / "out"))
    assert check_folder(tmp_path / "out").faults == ()


@pytest.mark.parametrize(("fps", "frames", "expected"), [(120.0005, 11, 6), (60.0, 11, 11), (240.0, 9, 3)])
def test_exact_rates_keep_the_frames_as_they_are(fps, frames, expected):
    points = torch.randn(frames, 19, 3)
    found = resample(points, fps)
    assert torch.equal(found, points[:: round(fps / 60)])
    assert len(found) == expected


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0, 59.94, 100.0])
def test_other_rates_are_interpolated_at_the_right_times(fps):
    seconds = torch.arange(200, dtype=torch.float64) / fps
    found = resample(seconds[:, None, None].expand(200, 19, 3), fps)
    expected = torch.arange(len(found), dtype=torch.float64) / 60
    torch.testing.assert_close(found[:, 0, 0], expected, atol=1e-9, rtol=0)
    assert seconds[-1] - expected[-1] < 1 / 60 + 1e-9


def test_interpolation_is_said(person, tmp_path):
    source = tmp_path / "raw"
    source.mkdir()
    (source / "01_01.bvh").write_text(person(fps=100.0, frames=100))
    result = run(source, tmp_path / "out")[0]
    assert "frames between were interpolated linearly" in result.notes
    assert any(note.startswith("100 fps, as the file says") for note in result.notes)
    assert result.clips[0]["frames"] == 60
