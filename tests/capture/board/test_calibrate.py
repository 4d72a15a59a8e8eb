import math

import cv2
import numpy as np
import pytest
import torch

from coview.capture.board.calibrate import calibrate_from_board
from coview.data.synthetic.board import BOARD, SIZE, waved_board
from coview.formats.calibration.calibration import Calibration, read_calibration, write_calibration
from coview.geometry.epipolar.view_graph import NotDeterminedError

TEXT = "charuco:6x5:0.05:0.0375:DICT_4X4_50"
UNIT = 60  # pixels of the print per square


def rendered(camera, pose):
    """The board's print as the camera sees it, through its lens."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    flat = cv2.aruco.CharucoBoard((6, 5), 0.05, 0.0375, dictionary).generateImage((6 * UNIT, 5 * UNIT))
    flat = np.pad(flat, UNIT, constant_values=255)
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    pixels = torch.from_numpy(np.stack([x, y], -1).reshape(-1, 2)).double()
    origin, ray = camera.rays(pixels)
    normal, corner = pose[:, 2], pose[:, 3]
    depth = ((corner - origin) @ normal) / (ray @ normal)
    at = (origin + depth[:, None] * ray - corner) @ pose[:, :2] / BOARD.square
    place = (((at + 1) * UNIT) - 0.5).reshape(SIZE[1], SIZE[0], 2).float().numpy()
    shown = cv2.remap(flat, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderValue=90)
    return cv2.GaussianBlur(shown, (0, 0), 0.8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two cameras, three instants each, as pictures; and the truth."""
    folder, waved = tmp_path_factory.mktemp("board"), waved_board(3, clocks=(0.0, 0.0))
    for view, name in enumerate(("left", "right")):
        (folder / "shots" / name).mkdir(parents=True)
        for n in range(3):
            shown = rendered(waved.scene.cameras[view], waved.scene.boards[n])
            cv2.imwrite(str(folder / "shots" / name / f"{n}.png"), shown)
    write_calibration(Calibration(("left", "right"), waved.scene.cameras), folder / "lenses.toml")
    return folder, waved.scene


def test_rendered_pictures_place_the_cameras(pictures):
    folder, truth = pictures
    done = calibrate_from_board(
        folder / "out", TEXT, videos=folder / "shots", intrinsics=folder / "lenses.toml", origin_frame=1
    )
    found = read_calibration(done.path)
    assert found.names == ("left", "right")
    length = float((found.cameras.centres[0] - found.cameras.centres[1]).norm())
    assert length == pytest.approx(
        float((truth.cameras.centres[0] - truth.cameras.centres[1]).norm()), abs=0.008
    )
    heights = (truth.cameras.centres - truth.boards[1, :, 3]) @ -truth.boards[1, :, 2]
    torch.testing.assert_close(found.cameras.centres[:, 2], heights, atol=0.01, rtol=0)
    assert all(fit.median_px < 0.3 and fit.agreement > 0.95 for fit in done.fits)
    assert math.isfinite(found.sigma["right"][0])


def test_refusals(pictures, tmp_path):
    folder, _ = pictures
    with pytest.raises(NotDeterminedError, match=r"saw the board in 3 pictures"):
        calibrate_from_board(folder / "out", TEXT, videos=folder / "shots")
    with pytest.raises(FileNotFoundError, match=r"coview import"):
        calibrate_from_board(tmp_path / "none", TEXT)
    with pytest.raises(ValueError, match=r"looks the same when turned"):
        calibrate_from_board(tmp_path, "checkerboard:8x6:0.05", videos=checkers(tmp_path))
    with pytest.raises(ValueError, match=r"--board-frames 0: at least one"):
        calibrate_from_board(folder / "out", TEXT, videos=folder / "shots", board_frames=0)
    with pytest.raises(ValueError, match=r"--origin-frame -1: frames are counted from 0"):
        calibrate_from_board(folder / "out", TEXT, videos=folder / "shots", origin_frame=-1)
    assert not (tmp_path / "calibration.toml").exists()


def checkers(folder):
    y, x = np.mgrid[:8, :10]
    inside = (x > 0) & (x < 9) & (y > 0) & (y < 7)
    shown = np.kron(np.where(inside, 255 * ((x + y) % 2), 255), np.ones((40, 40))).astype(np.uint8)
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), cv2.GaussianBlur(shown, (0, 0), 0.7))
    return folder


@pytest.mark.slow
def test_caliscopes_recording(tmp_path, shared_data):
    """Issue 7: median reprojection ≤ 0.6 px, distances on the board within 1.0 mm RMS."""
    project = shared_data / "caliscope_charuco4cam"
    done = calibrate_from_board(tmp_path, str(project / "charuco.toml"), videos=project)
    assert [fit.name for fit in done.fits] == ["cam_0", "cam_1", "cam_2", "cam_3"]
    assert all(fit.median_px <= 0.6 and fit.agreement > 0.97 for fit in done.fits)
    assert float(done.calibration.provenance["distances"].split()[0]) <= 1.0
    assert "cam_1 -1" in done.calibration.notes[0]  # 126 ms before cam_0
    theirs = read_calibration(project / "camera_array.toml").cameras.focal[:, 0]
    torch.testing.assert_close(done.calibration.cameras.focal[:, 0], theirs, rtol=0.07, atol=0)


@pytest.mark.slow
def test_pose2sims_checkerboards(tmp_path, shared_data):
    """Lenses from 6 or 7 pictures each, beside Qualisys' calibration of these cameras."""
    source = shared_data / "pose2sim_single"
    done = calibrate_from_board(
        tmp_path, "checkerboard:8x5:0.06", intrinsics_videos=source / "calib_images" / "intrinsics"
    )
    assert done.path.name == "lenses.toml"
    assert not done.calibration.has_extrinsics
    theirs = read_calibration(source / "calibration" / "Calib_qualisys.toml").cameras.focal[:, 0]
    torch.testing.assert_close(done.calibration.cameras.focal[:, 0], theirs, rtol=0.01, atol=0)
    assert all(fit.median_px < 0.3 for fit in done.fits)
