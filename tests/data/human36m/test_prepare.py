import os

import numpy as np
import pytest
import torch

from coview.cameras import Cameras
from coview.data.human36m.labels import PREPARED
from coview.data.human36m.prepare import convert, prepare_labels
from coview.data.synthetic.recordings import ring_cameras


class Harmful:
    """Unpickling this creates a folder: the harmless stand-in for any program."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def saved(path, content):
    np.save(path, np.array(content, dtype=object))
    return path


def test_millimetres_become_metres(human36m_npy, human36m_content):
    labels = convert(human36m_npy)
    wanted = torch.from_numpy(human36m_content["table"]["keypoints"]) / 1000
    torch.testing.assert_close(labels.joints3d, wanted)
    placed = Cameras.make(labels.intrinsics, labels.cam_from_world, torch.ones(2, 4, 2))
    torch.testing.assert_close(placed.centres[1], ring_cameras(4, radius=5.0, height=1.5).centres)


def test_names_numbers_and_boxes_are_kept(human36m_npy, human36m_content):
    labels = convert(human36m_npy)
    assert (labels.subjects, labels.actions) == (("S1", "S9"), ("Walking-1",))
    assert labels.cameras[0] == "54138969"
    assert labels.frame.tolist() == [0, 5, 10, 0, 5, 10]
    assert labels.boxes.tolist() == human36m_content["table"]["bbox_by_camera_tlbr"].tolist()
    assert labels.complete.tolist() == [True] * 5 + [False]
    assert labels.lens[0, 0].tolist() == pytest.approx([-0.2, 0.24, 0.02, -0.03, -0.003])


def test_labels_in_metres_are_refused(tmp_path, human36m_content):
    table = human36m_content["table"].copy()
    table["keypoints"] /= 1000
    with pytest.raises(ValueError, match=r"a thigh is 0\.00044.* m long.*must be millimetres in LABELS\.npy"):
        convert(saved(tmp_path / "labels.npy", {**human36m_content, "table": table}))


def test_another_number_of_joints_is_refused(tmp_path, human36m_content):
    rows = human36m_content["table"]
    kinds = [(name, rows.dtype[name]) for name in rows.dtype.names if name != "keypoints"]
    table = np.zeros(6, dtype=[*kinds, ("keypoints", "f4", (32, 3))])
    with pytest.raises(ValueError, match=r"joints3d has the shape \(6, 32, 3\)"):
        convert(saved(tmp_path / "labels.npy", {**human36m_content, "table": table}))


def test_what_is_no_label_file_is_told_what_one_holds(tmp_path, human36m_content):
    few = {name: human36m_content[name] for name in ("table", "cameras")}
    with pytest.raises(
        ValueError, match=r"it holds cameras, table, and must hold subject_names, action_names"
    ):
        convert(saved(tmp_path / "few.npy", few))
    with pytest.raises(ValueError, match="it holds list, and must hold"):
        convert(holding_a_list(tmp_path / "list.npy"))
    with pytest.raises(ValueError, match=r"'table' lacks subject_idx, .*; it has no columns"):
        convert(saved(tmp_path / "plain.npy", {**human36m_content, "table": np.zeros(3)}))
    np.save(tmp_path / "numbers.npy", np.zeros(3))
    with pytest.raises(ValueError, match="it holds an array of float64, not objects"):
        convert(tmp_path / "numbers.npy")
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.npy"):
        convert(tmp_path / "absent.npy")


def holding_a_list(path):
    held = np.empty((), dtype=object)
    held[()] = [1, 2]
    np.save(path, held)
    return path


def test_a_malicious_label_file_is_refused_and_not_run(tmp_path, human36m_content):
    harm = tmp_path / "harm"
    with pytest.raises(ValueError, match="only numpy arrays are allowed"):
        convert(saved(tmp_path / "bad.npy", {**human36m_content, "more": Harmful(harm)}))
    assert not harm.exists()


def test_what_is_there_is_replaced_only_when_told_to(tmp_path, human36m_npy):
    folder = tmp_path / "made" / "here"
    prepare_labels(human36m_npy, folder)
    written = (folder / PREPARED).stat().st_mtime_ns
    with pytest.raises(ValueError, match=r"human36m\.npz is there already\. Pass --overwrite"):
        prepare_labels(human36m_npy, folder)
    assert (folder / PREPARED).stat().st_mtime_ns == written
    assert len(prepare_labels(human36m_npy, folder, overwrite=True)) == 6
