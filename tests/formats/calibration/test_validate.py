"""No impossible camera passes; each message names the camera and the value."""

import pytest
import torch

from coview.cameras import Cameras
from coview.formats.calibration.validate import check_cameras

NAMES = ("left", "right")
HOLE = torch.zeros(3, 4).index_fill(1, torch.tensor(3), torch.nan)


def rig(dtype=torch.float64, **changes) -> Cameras:
    """Two good cameras; a change is applied to the second."""
    parts = {
        "intrinsics": torch.tensor([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]]),
        "cam_from_world": torch.eye(3, 4),
        "size": torch.tensor([1280.0, 720.0]),
        "distortion": torch.zeros(8),
    }
    parts = {key: value.to(dtype).repeat(2, *[1] * value.ndim) for key, value in parts.items()}
    for key, value in changes.items():
        parts[key][1] = torch.as_tensor(value, dtype=dtype)
    return Cameras(**parts, fisheye=torch.zeros(2, dtype=torch.bool))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_good_cameras_pass_and_the_same_with_one_number_wrong_do_not(dtype):
    check_cameras(NAMES, rig(dtype), "file.toml")
    check_cameras(
        NAMES, rig(dtype, cam_from_world=torch.full((3, 4), torch.nan)), "file.toml"
    )  # the lens alone
    with pytest.raises(ValueError, match="camera 'right'"):
        check_cameras(NAMES, rig(dtype, cam_from_world=torch.eye(3, 4).fill_diagonal_(1.001)), "file.toml")


def intrinsics(**places):
    matrix = rig().intrinsics[0].clone()
    for place, value in places.items():
        matrix[int(place[1]), int(place[2])] = value
    return matrix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": [float("nan")] * 2}, r"image size is \(nan, nan\).*Add `size = \[width, height\]`"),
        ({"size": [720.0, 1280.0]}, r"\(640, 360\) .* probably swapped; write `size = \[1280, 720\]`"),
        ({"intrinsics": intrinsics(m02=1400.0)}, r"\(1400, 360\) lies outside the image of \(1280, 720\)"),
        ({"intrinsics": intrinsics(m11=700.0)}, r"fx = 1000.0 and fy = 700.0 px must be positive and"),
        ({"intrinsics": intrinsics(m00=-1000.0)}, r"fx = -1000.0"),
        ({"intrinsics": intrinsics(m10=5.0)}, r"is not upper triangular"),
        ({"intrinsics": rig().intrinsics[0].T}, r"looks transposed, as MATLAB writes it"),
        ({"intrinsics": intrinsics(m22=2.0)}, r"last number of the camera matrix is 2.0 and must be 1"),
        ({"intrinsics": intrinsics(m00=float("inf"))}, r"numbers that are not finite"),
        ({"cam_from_world": -torch.eye(3, 4)}, r"left-handed \(determinant -1.000, must be \+1\).*mirrors"),
        ({"cam_from_world": torch.eye(3, 4) * 1.01}, r"not orthonormal \(RᵀR differs .* by 0.02\)"),
        (
            {"cam_from_world": torch.eye(3, 4) + HOLE},
            r"rotation or translation hold numbers that are not finite",
        ),
        ({"distortion": [float("nan")] * 8}, r"distortion .* is not finite"),
        ({"distortion": [50.0] + [0.0] * 7}, r"distortion \(50, .* which no lens does. The order is k1, k2"),
        ({"distortion": [-1.2] + [0.0] * 7}, r"distortion \(-1.2, .* which no lens does"),
    ],
)
def test_impossible_cameras_are_named(changes, message):
    with pytest.raises(ValueError, match=r"^file.toml: camera 'right'.*" + message):
        check_cameras(NAMES, rig(**changes), "file.toml")


def test_duplicate_names():
    with pytest.raises(
        ValueError, match=r"file.toml: more than one camera is named left\. Videos are matched"
    ):
        check_cameras(("left", "left"), rig(), "file.toml")


def test_an_off_centre_crop_is_no_swap():
    check_cameras(NAMES, rig(intrinsics=intrinsics(m02=1200.0)), "file.toml")
    with pytest.raises(ValueError, match="outside the image"):
        check_cameras(NAMES, rig(intrinsics=intrinsics(m02=1300.0)), "file.toml")
