"""CMU Panoptic's JSON: centimetres, and a world with y down."""

import json

import numpy as np
import pytest
import torch

from coview.formats.calibration.calibration import read_calibration
from coview.formats.calibration.registry import read_calibration_file

CAMERA = {
    "name": "00_03",
    "type": "hd",
    "resolution": [1920, 1080],
    "panel": 0,
    "node": 3,
    "K": [[1400.0, 0.0, 960.0], [0.0, 1400.0, 540.0], [0.0, 0.0, 1.0]],
    "distCoef": [-0.2, 0.1, 0.001, 0.002, 0.003],
    "R": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "t": [[0.0], [120.0], [300.0]],
}


def written(tmp_path, *cameras):
    path = tmp_path / "calibration_x.json"
    path.write_text(json.dumps({"cameras": cameras}))
    return path


def test_by_hand(tmp_path):
    found = read_calibration(written(tmp_path, CAMERA))
    # Its rotation is the identity: image-down is the world's y, so its world has −y up. The centre there is
    # (0, −120, −300) cm: 1.2 m above the floor. Here z is up: (x, z, −y) = (0, −3, 1.2) m.
    torch.testing.assert_close(found.cameras.centres[0], torch.tensor([0, -3, 1.2], dtype=torch.float64))
    torch.testing.assert_close(found.cameras.rotation[0, 1], torch.tensor([0, 0, -1.0], dtype=torch.float64))
    assert any("turned to z up" in note for note in found.notes)
    assert found.names == ("00_03",)


def test_the_same_pixels_as_before_the_turn(tmp_path):
    camera = read_calibration(written(tmp_path, CAMERA)).cameras[0]
    there = np.array([30.0, -80.0, 20.0])  # cm, −y up
    x, y, z = there + np.array([0, 120, 300])
    a, b = x / z, y / z
    r2 = a * a + b * b
    k1, k2, p1, p2, k3 = CAMERA["distCoef"]
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    expected = [
        1400 * (a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + 960,
        1400 * (b * radial + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + 540,
    ]
    here = torch.tensor([[there[0], there[2], -there[1]]], dtype=torch.float64) / 100
    torch.testing.assert_close(camera.project(here)[0], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}', "JSON without a list `cameras`, so it is not CMU Panoptic's"),
        ('{"cameras": [{"name": "00_01"}]}', "camera '00_01' has no K, R, t"),
        ('{"cameras": ', r"line 1, column \d+: not valid JSON"),
        (
            json.dumps({"cameras": [CAMERA | {"R": [1, 2, 3]}]}),
            r"camera '00_03': R should have shape \(3, 3\)",
        ),
        (json.dumps({"cameras": [CAMERA | {"distCoef": [0.1] * 9}]}), "9 distortion coefficients"),
    ],
)
def test_messages(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_calibration_file(tmp_path / "a.json")
