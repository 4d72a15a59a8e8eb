"""The stages as methods: each does what the stage of `coview.capture` does, and refuses what it would ignore."""

import json

import numpy as np
import pytest
import torch

import coview
from coview.errors import InputError, MissingFileError, NotYetError
from coview.formats.session.session import Session as Files


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    made = coview.example_session(tmp_path_factory.mktemp("session") / "walk", minutes=0.05, calibrated=True)
    made.reconstruct()
    return made


def test_a_session_is_the_session_that_stages_take(session):
    assert isinstance(session, Files)
    assert coview.Session.open(str(session.path)) == session
    with pytest.raises(MissingFileError, match="no session at"):
        coview.Session.open(session.path / "elsewhere")


def test_arrays_come_in_the_layout_of_triangulate(session):
    pixels, confidence = session.joints2d()
    points = coview.triangulate(session.calibration().cameras, pixels, confidence)
    assert points.dtype == np.float32
    assert session.joints3d().shape == points.shape == (session.frames, 17, 3)
    assert np.nanmedian(np.linalg.norm(points - session.joints3d(), axis=-1)) < 0.01


def test_detect_says_how_to_import(session):
    with pytest.raises(
        NotYetError, match=r"no detector of 2D joints yet.*coview\.Session\.create.*from_arrays"
    ):
        session.detect()


def test_export_and_report(session, tmp_path):
    assert [path.suffix for path in session.export(("trc", "csv", "npz"))] == [".trc", ".csv", ".npz"]
    assert "<html" in session.report(tmp_path / "page.html").read_text()
    with pytest.raises(coview.CoviewError, match="cannot export to nothing"):
        session.export([])


def test_reconstruct_passes_its_options_on(session):
    done = session.reconstruct(min_confidence=0.5, smooth=6, max_gap=0, threshold=20)
    assert done.threshold_px == 20
    made = done.poses.provenance
    assert (made["smooth"], made["max_gap"], made["solver"]) == ("6 Hz", "0", "linear")
    session.reconstruct()


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        (
            "file",
            {"stature": 1.8},
            r"calibrate\('file'\) has no use for stature; it takes file, units, size_mismatch",
        ),
        ("people", {"board": "charuco"}, r"calibrate\('people'\) has no use for board"),
        ("board", {}, "needs to know the board"),
        ("magic", {}, "source is 'people', 'file', 'board', got 'magic'|source is"),
    ],
)
def test_calibrate_refuses_what_it_would_ignore(session, monkeypatch, source, options, words):
    from coview.api import session as module

    with pytest.raises(InputError, match=words):
        module._check_options(source, options)


@pytest.mark.slow
def test_calibrate_passes_its_options_on(tmp_path):
    made = coview.example_session(tmp_path / "walk", minutes=0.1)
    done = made.calibrate(
        stature=2, frames=(0, 100), min_confidence=0.2, fit_clock="fixed", fit_focal="fixed", seed=1
    )
    assert done.calibration.provenance["clock"] == "synchronised"
    assert done.calibration.provenance["frames"] == "0 to 100"
    assert "2" in done.calibration.provenance["scale"]
    assert made.calibration().has_extrinsics


def test_calibrate_from_a_file(tmp_path):
    made = coview.example_session(tmp_path / "walk", minutes=0.05)
    known = coview.Calibration(made.camera_names, coview.example_cameras(4))
    coview.write_calibration(known, tmp_path / "cameras.toml")
    done = made.calibrate("file", file=str(tmp_path / "cameras.toml"))
    torch.testing.assert_close(done.calibration.cameras.centres.float(), known.cameras.centres)


def test_create_imports_a_folder(tmp_path):
    for camera in ("cam_1", "cam_2"):
        folder = tmp_path / "recording" / f"{camera}_json"
        folder.mkdir(parents=True)
        for frame in range(5):
            joints = np.random.default_rng(frame).uniform(1, 900, size=(25, 3))
            joints[:, 2] = 0.9
            person = {"pose_keypoints_2d": joints.flatten().tolist()}
            (folder / f"{camera}_{frame:06d}.json").write_text(json.dumps({"people": [person]}))
    made = coview.Session.create(
        str(tmp_path / "session"), tmp_path / "recording", fps=30, skeleton="body_25"
    )
    assert isinstance(made, coview.Session)
    assert (made.frames, made.fps, made.skeleton.name) == (5, 30.0, "body_25")
