"""Crops are pictures of perfect pinhole cameras: what is drawn at a point lies where their camera projects it."""

import math
import struct
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
import torch

from coview.capture.images.crops import UndistortedCropper, stream_crops
from coview.capture.images.person_boxes import Boxes
from coview.data.human36m.images import crop_cameras


def centroid(channel):
    """Brightness-weighted mean pixel (x, y)."""
    weight = np.asarray(channel, dtype=np.float64)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return torch.tensor([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def one_box(left_top, side):
    return Boxes(torch.tensor([[left_top]], dtype=torch.float64), torch.tensor([[side]], dtype=torch.float64))


def grey(channel):
    return np.repeat(channel[..., None], 3, axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("fisheye", [False, True])
@pytest.mark.parametrize(
    ("side", "size"), [(200.0, 128), (128.0, 128), (61.3, 128), (350.0, 96), (390.7, 48)]
)
@pytest.mark.parametrize("place", [(379.4, 93.2), (61.0, 322.6)])
def test_a_dot_lands_where_the_crop_camera_projects_its_point(film, place, side, size, fisheye):
    camera = film.cameras()[0].to(torch.float64)
    if fisheye:
        camera = replace(
            camera,
            fisheye=torch.tensor(True),
            distortion=torch.tensor([0.03, -0.01, 0.0, 0, 0, 0, 0, 0]).double(),
        )
    origin, direction = camera.rays(torch.tensor([place], dtype=torch.float64))
    point = origin + 3 * direction
    filmed = camera.project(point)[0]
    straight = camera.without_distortion().project(point)[0]
    assert float((filmed - straight).norm()) > 0.5  # the lens matters
    sigma = max(2.5, 1.5 * side / size)
    picture = grey(film.dot((480, 400), filmed, sigma))
    left_top = (straight - torch.tensor([0.55, 0.48]) * side).tolist()
    cut = UndistortedCropper(camera).cut(picture, torch.tensor(left_top), side, size)
    expected = one_box(left_top, side).cameras(camera[None], size).project(point[None, None])[0, 0, 0]
    assert (centroid(cut[..., 0]) - expected).abs().max() < 0.3 * min(1.0, max(size / side, 0.5))


def test_the_same_as_undistorting_the_whole_picture_first(film):
    """The textbook's way: undistort with OpenCV, cut, resize by area."""
    camera = film.cameras()[0]
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (400, 480, 3)).astype(np.uint8), (0, 0), 3.0)
    whole = cv2.undistort(
        picture, camera.intrinsics.numpy().astype(float), camera.distortion.numpy()[:5].astype(float)
    )
    slow = cv2.resize(whole[60:316, 100:356], (128, 128), interpolation=cv2.INTER_AREA)
    fast = UndistortedCropper(camera).cut(picture, torch.tensor([100.0, 60.0]), 256.0, 128)
    assert np.abs(fast.astype(int) - slow).max() <= 6
    assert np.abs(fast.astype(int) - slow).mean() < 0.7


def test_whole_pixels_are_copied_as_they_are(film):
    camera = film.cameras(distorted=False)[0]
    picture = np.random.default_rng(1).integers(0, 255, (400, 480, 3)).astype(np.uint8)
    cut = UndistortedCropper(camera).cut(picture, torch.tensor([37.0, 21.0]), 64.0, 64)
    assert np.array_equal(cut, picture[21:85, 37:101])


def test_outside_the_picture_is_black(film):
    camera = film.cameras(distorted=False)[0]
    picture = np.full((400, 480, 3), 200, dtype=np.uint8)
    cut = UndistortedCropper(camera).cut(picture, torch.tensor([-50.0, 350.0]), 100.0, 50)
    assert not cut[:, :24].any()
    assert not cut[26:].any()
    assert (cut[:24, 26:] == 200).all()
    assert not UndistortedCropper(camera).cut(picture, torch.tensor([900.0, 900.0]), 100.0, 50).any()


def test_a_lens_model_that_turns_back_shows_nothing_twice(film):
    """x (1 - 0.5 r²) is largest at r = 0.82: beyond, it would show the picture's inside again."""
    camera = film.cameras(distorted=False)[0]
    camera = replace(camera, distortion=torch.tensor([-0.5, 0, 0, 0, 0, 0, 0, 0]))
    lens = UndistortedCropper(camera)
    assert lens.reach == pytest.approx(math.sqrt(2 / 3), abs=0.003)
    picture = np.full((400, 480, 3), 255, dtype=np.uint8)
    wide = lens.cut(picture, torch.tensor([-560.0, -600.0]), 1600.0, 160)
    row = wide[80, :, 0]
    assert row[80] == 255
    assert not row[:40].any()
    assert (np.diff((row > 0).astype(int)) == 1).sum() == 1  # one stretch


def test_a_stream_is_cut_frame_by_frame(film, tmp_path):
    session, _ = film.session(tmp_path / "s")
    cameras = film.cameras().to(torch.float64)
    side = torch.full((12, 4), 200.0).double()
    side[3:5, 1] = torch.nan
    boxes = Boxes(torch.full((12, 4, 2), 120.0).double(), side)
    videos = [camera.video for camera in session.cameras]
    portions = list(stream_crops(videos, cameras, boxes, 64, frames=[0, 1, 3, 4, 7], at_once=2))
    assert [portion.frames for portion in portions] == [(0, 1), (3, 4), (7,)]
    assert portions[0].images.shape == (2, 4, 3, 64, 64)
    assert portions[1].present.tolist() == [[True, False, True, True]] * 2
    assert not portions[1].images[:, 1].any()
    assert portions[1].cameras.intrinsics[:, 1].isnan().any()
    assert portions[2].cameras.size.shape == (1, 4, 2)


def test_a_crop_for_released_weights_is_that_of_their_training(film, tmp_path):
    """The same picture and camera as the reader of Human3.6M makes: whole pixels, areas, no half pixel."""
    camera = film.cameras(distorted=False).to(torch.float64)
    picture = cv2.GaussianBlur(
        np.random.default_rng(2).integers(0, 255, (400, 480, 3)).astype(np.uint8), (0, 0), 2.0
    )
    for left, top, side in ((60, 40, 301), (37, 21, 100), (-20, 250, 203)):
        padded = np.zeros((side, side, 3), np.uint8)
        there = picture[max(top, 0) : top + side, max(left, 0) : left + side]
        y, x = max(-top, 0), max(-left, 0)
        padded[y : y + there.shape[0], x : x + there.shape[1]] = there
        wanted = cv2.resize(padded, (128, 128), interpolation=cv2.INTER_AREA)
        # a box that is not quite of whole pixels
        boxes = one_box((left + 0.3, top + 0.2), side - 0.4).whole_pixels()
        at = boxes.left_top[0, 0], float(boxes.side[0, 0])
        assert np.array_equal(UndistortedCropper(camera[0]).cut(picture, *at, 128, by_area=True), wanted)
        region = torch.tensor([[left, top, side, side]])
        expected = crop_cameras(camera[:1].to(torch.float32), region, 128, released_numerics=True)
        found = boxes.cameras(camera[:1], 128, released_numerics=True)[0]
        torch.testing.assert_close(found.intrinsics.float(), expected.intrinsics)
        assert found.size.tolist() == [[128.0, 128.0]]


def test_a_stream_for_released_weights_has_their_cameras(film, tmp_path):
    session, _ = film.session(tmp_path / "s", frames=2)
    side = torch.full((2, 4), 200.4).double()
    side[1, 1] = torch.nan
    boxes = Boxes(torch.full((2, 4, 2), 120.3).double(), side)
    given = [camera.video for camera in session.cameras], film.cameras(), boxes, 64
    [ours] = stream_crops(*given, frames=range(2))
    [theirs] = stream_crops(*given, frames=range(2), released_numerics=True)
    whole = boxes.whole_pixels().cameras(film.cameras(), 64)
    shift = theirs.cameras.principal_point - whole.principal_point
    assert shift[0, 0].tolist() == pytest.approx([0.5 - 0.5 * 64 / 200] * 2, abs=1e-4)
    assert theirs.present.tolist() == ours.present.tolist()
    assert theirs.cameras.intrinsics[1, 1].isnan().any()
    assert np.abs(theirs.images.numpy().astype(int) - ours.images.numpy()).mean() < 3


def test_frames_beyond_a_videos_end_are_absent(film, tmp_path):
    session, _ = film.session(tmp_path / "s", frames=6)
    boxes = Boxes(torch.full((9, 4, 2), 120.0).double(), torch.full((9, 4), 200.0).double())
    videos = [camera.video for camera in session.cameras]
    [portion] = stream_crops(videos, film.cameras(), boxes, 32, frames=range(9), at_once=9)
    assert portion.present.all(dim=1).tolist() == [True] * 6 + [False] * 3


def test_another_picture_of_the_video_can_belong_to_a_frame(film, tmp_path):
    """As of a camera that began two frames late, and one whose clock repeats a picture."""
    session, _ = film.session(tmp_path / "s", frames=6)
    boxes = Boxes(torch.full((6, 4, 2), 120.0).double(), torch.full((6, 4), 200.0).double())
    videos = [camera.video for camera in session.cameras]
    own = torch.arange(6)[:, None].repeat(1, 4)
    own[:, 1] = torch.tensor([-1, -1, 0, 1, 2, 3])
    own[:, 2] = torch.tensor([0, 1, 1, 2, 3, 4])
    [plain] = stream_crops(videos, film.cameras(), boxes, 32, frames=range(6), at_once=6)
    shifted = list(stream_crops(videos, film.cameras(), boxes, 32, frames=range(6), pictures=own, at_once=2))
    images = torch.cat([portion.images for portion in shifted])
    present = torch.cat([portion.present for portion in shifted])
    assert present[:, 1].tolist() == [False, False, True, True, True, True]
    assert torch.equal(images[2:, 1], plain.images[:4, 1])
    assert torch.equal(images[:, 2], plain.images[own[:, 2], 2])
    assert torch.equal(images[:, [0, 3]], plain.images[:, [0, 3]])


def test_a_portrait_video_with_a_rotation_flag(film, tmp_path):
    """Stored lying, shown upright, as phones do; the camera is that of the upright picture."""
    camera = film.cameras()[0]
    camera = replace(
        camera,
        size=torch.tensor([384.0, 480.0]),
        intrinsics=torch.tensor([[400.0, 0, 190], [0, 400, 244], [0, 0, 1]]),
    )
    point = torch.tensor([[0.4, -0.2, 1.5]])
    upright = grey(film.dot((384, 480), camera.project(point)[0], 5.0))
    stored = _filmed(tmp_path / "lying.mp4", np.ascontiguousarray(np.rot90(upright, 1)))
    boxes = one_box((60.0, 20.0), 230.0)
    [portion] = stream_crops([_turned(stored)], camera[None], boxes, 96, frames=[0])
    expected = portion.cameras.project(point)[0, 0, 0]
    assert (centroid(portion.images[0, 0, 0]) - expected).abs().max() < 0.3


def _filmed(path, picture):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qscale": "1"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")), *stream.encode()]:
            container.mux(packet)
    return path


def _turned(path):
    """With the matrix of a quarter turn clockwise in its track header."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 384 << 16, 0, 1 << 30)
    path.write_bytes(data)
    return path
