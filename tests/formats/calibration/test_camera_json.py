"""JSON with one table per camera: VoxelPose's (centre, mm) and 4d_association's ([R | t], m)."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from coview.formats.calibration.calibration import read_calibration

TURN = Rotation.from_euler("xyz", [100, 20, 30], degrees=True).as_matrix()
CENTRE = np.array([1.2, -3.4, 1.9])
POINT = np.array([0.3, 0.2, 1.0])


def projected(k1=0.0, k2=0.0, p1=0.0, p2=0.0, k3=0.0):
    """Of POINT, by the formula."""
    x, y, z = TURN @ (POINT - CENTRE)
    a, b = x / z, y / z
    r2 = a * a + b * b
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)
    v = b * radial + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b
    return torch.tensor([900 * u + 500, 910 * v + 400])


VOXELPOSE = {
    "R": TURN.tolist(),
    "T": (1000 * CENTRE[:, None]).tolist(),
    **{"fx": 900.0, "fy": 910.0, "cx": 500.0, "cy": 400.0},
    "k": [[-0.1], [0.02], [0.003]],
    "p": [[0.001], [-0.002]],
}
ASSOCIATION = {
    "K": [900.0, 0.0, 500.0, 0.0, 910.0, 400.0, 0.0, 0.0, 1.0],
    "RT": np.column_stack([TURN, -TURN @ CENTRE]).ravel().tolist(),
    "imgSize": [1000, 800],
    "distCoeff": [-0.1, 0.02, 0.001, -0.002, 0.003],
}


def written(tmp_path, row, names=("0", "1")):
    path = tmp_path / "calibration_shelf.json"
    path.write_text(json.dumps({name: row for name in names}))
    return path


@pytest.mark.parametrize(
    ("row", "sizes"),
    [(VOXELPOSE, {"*": (1000, 800)}), (ASSOCIATION, None)],
    ids=["voxelpose", "4d_association"],
)
def test_by_hand(tmp_path, row, sizes):
    found = read_calibration(written(tmp_path, row), sizes=sizes)
    assert found.names == ("0", "1")
    torch.testing.assert_close(found.cameras.centres[0], torch.from_numpy(CENTRE))
    expected = projected(-0.1, 0.02, 0.001, -0.002, 0.003)
    torch.testing.assert_close(found.cameras[0].project(torch.from_numpy(POINT)[None])[0], expected)


def test_matrices_may_be_nested(tmp_path):
    row = ASSOCIATION | {
        "K": np.reshape(ASSOCIATION["K"], (3, 3)).tolist(),
        "RT": np.reshape(ASSOCIATION["RT"], (3, 4)).tolist(),
    }
    nested, flat = (read_calibration(written(tmp_path, each)) for each in (row, ASSOCIATION))
    assert nested.fingerprint == flat.fingerprint


def test_distortion_may_be_absent(tmp_path):
    row = {key: value for key, value in ASSOCIATION.items() if key != "distCoeff"}
    found = read_calibration(written(tmp_path, row))
    torch.testing.assert_close(found.cameras[0].project(torch.from_numpy(POINT)[None])[0], projected())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (VOXELPOSE, "camera '0': the image size is .nan"),
        (VOXELPOSE | {"k": [0.1] * 4}, "camera '0': k has 4 numbers and p 2"),
        (VOXELPOSE | {"R": [1, 2]}, "camera '0': R should have shape"),
        (ASSOCIATION | {"RT": [1.0] * 9}, r"K should be 3×3 and RT 3×4 numbers, found \(9,\) and \(9,\)"),
    ],
)
def test_messages(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        read_calibration(written(tmp_path, row))
