from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from coview.skeletons import COCO_17, H36M_17, Skeleton
from coview.training.prediction.prediction_files import (
    Prediction,
    find_predictions,
    folder_for,
    read_prediction,
    write_prediction,
)


def a_prediction(path: Path, run: str = "/runs/a") -> Prediction:
    points = torch.randn(4, 17, 3)
    points[1] = torch.nan
    return Prediction(
        path.stem, points, "m", "a tape measure", 25.0, H36M_17, path, {"run": run, "method": "CanonPose"}
    )


def test_what_is_written_is_read(tmp_path):
    written = a_prediction(tmp_path / "cam.npz")
    write_prediction(written)
    read = read_prediction(written.path)
    assert replace(read, points=written.points) == written
    torch.testing.assert_close(read.points, written.points, equal_nan=True)
    assert len(written.path.with_suffix(".csv").read_text().splitlines()) == 2 + 4


def test_bones_frame_rates_nobody_knows_and_skeletons_of_ones_own(tmp_path):
    own = Skeleton("mine", ("hip", "toe"), (("hip", "toe"),), "hip")
    path = tmp_path / "x.npz"
    write_prediction(Prediction("x", torch.ones(1, 2, 3), "mean bone length", "none", None, own, path))
    read = read_prediction(path)
    assert (read.fps, read.unit, read.skeleton) == (None, "mean bone length", own)


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "old.npz"
    np.savez(path, points=np.zeros((1, 17, 3)), fps=25.0, units="m", axes="camera: x right")
    with pytest.raises(ValueError, match=r"old\.npz holds units 'm' and axes 'camera: x right'"):
        read_prediction(path)
    np.savez(path, points=np.zeros((1, 17, 3)))
    with pytest.raises(ValueError, match=r"old\.npz holds no prediction .*'fps' is missing. Delete it"):
        read_prediction(path)


def test_predictions_of_a_session_by_run_and_camera(tmp_path):
    for run, camera in (("b", "cam2"), ("a", "cam2"), ("a", "cam1")):
        write_prediction(a_prediction(tmp_path / "predictions" / run / f"{camera}.npz"))
    (tmp_path / "predictions" / "empty").mkdir()
    found = find_predictions(tmp_path)
    assert {run: [one.camera for one in some] for run, some in found.items()} == {
        "a": ["cam1", "cam2"],
        "b": ["cam2"],
    }
    assert find_predictions(tmp_path / "nowhere") == {}


def test_two_runs_of_one_name_do_not_share_a_folder(tmp_path):
    first, second = tmp_path / "mine" / "model", tmp_path / "yours" / "model"
    own = folder_for(tmp_path, first)
    assert own == tmp_path / "predictions" / "model"
    write_prediction(a_prediction(own / "cam.npz", str(first.resolve())))
    assert folder_for(tmp_path, first) == own
    assert folder_for(tmp_path, second) == tmp_path / "predictions" / "model_2"


def test_the_joints_have_names(tmp_path):
    one = replace(a_prediction(tmp_path / "c.npz"), skeleton=COCO_17)
    write_prediction(one)
    assert "nose_x_m" in one.path.with_suffix(".csv").read_text()
