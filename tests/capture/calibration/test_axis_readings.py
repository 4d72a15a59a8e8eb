"""2D joints decide between the documented readings of a file, and nothing else does."""

from dataclasses import replace

import pytest
import torch

import coview
from coview.capture.calibration.axis_readings import reading_that_fits
from coview.capture.calibration.from_people import calibrate_from_file
from coview.formats.calibration.calibration import Calibration
from coview.formats.calibration.file_camera import FileCamera
from coview.formats.calibration.vicon import VICON
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import COCO_17

READINGS = ("x right, y down", "x right, y up", "x left, y up", "x left, y down")
SIGNS = ([1.0, 1, 1], [1.0, -1, -1], [-1.0, -1, 1], [-1.0, 1, -1])


def filmed(path, turned=(1.0, 1.0, 1.0)):
    """A session that four cameras filmed, and these cameras."""
    cameras = coview.example_cameras(4).to(torch.float64)
    cameras = replace(
        cameras, cam_from_world=torch.diag(torch.tensor(turned)).double() @ cameras.cam_from_world
    )
    middle = cameras.centres.mean(dim=0) * torch.tensor([1, 1, 0.0]) + torch.tensor([0, 0, 1.0])
    points = middle + 0.8 * (torch.rand(30, 17, 3).double() - 0.5)
    pixels = cameras.project(points[:, None]).transpose(0, 1)
    pixels = pixels + torch.randn_like(pixels)
    seen = torch.cat([pixels, torch.full_like(pixels[..., :1], 0.9)], dim=-1)
    names = tuple(f"cam{n}" for n in range(4))
    made = Session(path, "s", 50.0, COCO_17, tuple(SessionCamera(n, None, None, 30) for n in names))
    made.save()
    write_detections(made.detections_dir, names, Detections.make(seen[:, :, None].float()))
    return made, cameras


@pytest.mark.parametrize("true", range(4))
def test_the_reading_with_which_the_joints_agree_is_taken(tmp_path, true):
    session, cameras = filmed(tmp_path / "s")
    changes = [torch.diag(torch.tensor(signs)).double() for signs in SIGNS]
    # what the file holds is such that reading number `true` gives the cameras
    poses = [change @ changes[true] @ cameras.cam_from_world for change in changes]
    read = Calibration(
        session.camera_names,
        replace(cameras, cam_from_world=poses[0]),
        readings=tuple(zip(READINGS, poses, strict=True)),
    )
    found = reading_that_fits(session, read)
    torch.testing.assert_close(found.cameras.cam_from_world, cameras.cam_from_world)
    if true == 0:
        assert found.notes == ()
    else:
        assert READINGS[true] in found.notes[0]


@pytest.mark.parametrize("axes", range(4))
def test_vicon_cameras_that_hang_upside_down(tmp_path, axes):
    """By whichever of the documented readings the file was written."""
    session, cameras = filmed(tmp_path / "s", turned=(-1.0, -1.0, 1.0))
    held = torch.diag(torch.tensor(SIGNS[axes])).double() @ cameras.cam_from_world
    sizes = [(int(w), int(h)) for w, h in cameras.size.tolist()]
    files = [
        FileCamera(
            name,
            name,
            (float(size[0]), float(size[1])),
            k.numpy(),
            (0.0,) * 5,
            False,
            pose[:, :3].numpy(),
            pose[:, 3].numpy(),
        )
        for name, size, k, pose in zip(session.camera_names, sizes, cameras.intrinsics, held, strict=True)
    ]
    for path, content in VICON.write(files, tmp_path / "rig.xcp").items():
        path.write_bytes(content)
    session = replace(
        session, cameras=tuple(replace(c, size=s) for c, s in zip(session.cameras, sizes, strict=True))
    )
    found = calibrate_from_file(session, tmp_path / "rig.xcp").calibration
    torch.testing.assert_close(
        found.cameras.cam_from_world, cameras.cam_from_world, atol=1e-6, rtol=0, check_dtype=False
    )


def test_one_reading_is_left_alone(tmp_path):
    session, cameras = filmed(tmp_path / "s")
    read = Calibration(session.camera_names, cameras)
    assert reading_that_fits(session, read) is read
