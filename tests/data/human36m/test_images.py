from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from coview.data.human36m.images import CropReader, crop_cameras, crop_regions, raw_pixels
from coview.data.human36m.labels import read_labels
from coview.data.synthetic.recordings import ring_cameras

INTRINSICS = torch.tensor([[1145.0, 0, 512], [0, 1143, 515], [0, 0, 1]]).double()
CENTRES = torch.tensor([[0.0, 0.0], [512, 515], [1000, 20], [300, 700]]).double()


def test_a_radial_lens_is_opencvs():
    lens = torch.tensor([-0.2, 0.24, 0.0, 0.0, -0.003]).double()
    flat = (CENTRES - INTRINSICS[:2, 2]) / INTRINSICS.diagonal()[:2]
    points = np.concatenate([flat.numpy(), np.ones((4, 1))], axis=1)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), INTRINSICS.numpy(), lens.numpy())
    torch.testing.assert_close(raw_pixels(CENTRES, INTRINSICS, lens), torch.from_numpy(expected[:, 0]))


def test_tangential_terms_are_those_of_the_laboratory():
    """By hand: focal 1, centre 0, at (1, 2), r² = 5. With p1 alone x gains p1·x·y = 2 p1 and y gains
    p1·(y² + r²) = 9 p1; with p2 alone x gains p2·(x² + r²) = 6 p2 and y gains p2·x·y = 2 p2."""
    at = torch.tensor([1.0, 2.0])
    first = raw_pixels(at, torch.eye(3), torch.tensor([0, 0, 0.1, 0, 0]))
    second = raw_pixels(at, torch.eye(3), torch.tensor([0, 0, 0, 0.1, 0]))
    torch.testing.assert_close(first - at, torch.tensor([0.2, 0.9]))
    torch.testing.assert_close(second - at, torch.tensor([0.6, 0.2]))


def test_it_differs_from_opencv_by_as_much_as_is_known():
    """Up to 0.74 pixels with a camera of the data set, formats.md §5.1; the numbers here are like those."""
    lens = torch.tensor([-0.2071, 0.2478, -0.00098, -0.00142, -0.0031]).double()
    grid = torch.cartesian_prod(torch.linspace(0, 999, 20), torch.linspace(0, 999, 20)).double()
    flat = (grid - INTRINSICS[:2, 2]) / INTRINSICS.diagonal()[:2]
    points = np.concatenate([flat.numpy(), np.ones((400, 1))], axis=1)
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), INTRINSICS.numpy(), lens.numpy())
    apart = (raw_pixels(grid, INTRINSICS, lens) - torch.from_numpy(theirs[:, 0])).norm(dim=-1)
    assert 0.3 < float(apart.max()) < 0.8


def test_boxes_are_scaled_in_whole_numbers():
    """By hand: left 10, right 21, so width 11, centre 31 // 2 = 15; half as large again is int(16.5) = 16,
    and begins at 15 - 8 = 7."""
    box = torch.tensor([[5, 10, 16, 21]], dtype=torch.int16)
    assert crop_regions(box, 1.5).tolist() == [[7, 2, 16, 16]]
    assert crop_regions(box, 1.0).tolist() == [[10, 5, 11, 11]]
    assert crop_regions(torch.tensor([[-7, -9, 2, 0]]), 1.0).tolist() == [[-9, -7, 9, 9]]


def test_crop_cameras_by_hand():
    """Left 100, top 50, 200 pixels made 50: a quarter. cx 512 → (412 + ½) / 4 − ½, or 412 / 4."""
    camera = ring_cameras(1)
    camera = type(camera).make(
        INTRINSICS.float()[None], camera.cam_from_world, torch.tensor([[1000.0, 1002]])
    )
    region = torch.tensor([[100, 50, 200, 200]])
    right = crop_cameras(camera, region, 50, released_numerics=False)
    released = crop_cameras(camera, region, 50, released_numerics=True)
    assert right.principal_point.tolist() == [[102.625, 115.875]]
    assert released.principal_point.tolist() == [[103.0, 116.25]]
    assert torch.equal(right.focal, released.focal)
    assert released.focal.tolist() == [[286.25, 285.75]]
    assert released.size.tolist() == [[50.0, 50.0]]


@pytest.mark.parametrize("undistort", [True, False])
def test_black_where_a_crop_reaches_outside_the_picture(human36m, undistort):
    labels = read_labels(human36m)
    path = labels.picture(human36m / "processed", 0, 0, undistorted=not undistort)
    path.parent.mkdir(exist_ok=True, parents=True)
    cv2.imwrite(str(path), np.full((1002, 1000, 3), 200, np.uint8))
    regions = torch.zeros(6, 4, 4, dtype=torch.long)
    regions[0, 0] = torch.tensor([-50, 400, 100, 100])
    crops = CropReader(labels, regions, human36m / "processed", 100, undistort, False)
    crop = crops(0, 0)
    assert crop.shape == (3, 100, 100)
    assert not crop[..., :45].any()
    assert (crop[..., 90:] - 200.0).abs().max() <= 3
    if not undistort:
        assert not crop[..., :50].any()
        assert (crop[..., 50:] - 200.0).abs().max() <= 3
    regions[0, 0] = torch.tensor([2000, 400, 100, 100])
    assert not crops(0, 0).any()


def test_a_picture_that_is_not_there_is_named(human36m):
    labels = read_labels(human36m)
    crops = CropReader(labels, crop_regions(labels.boxes, 1.0), Path("nowhere"), 32, True, False)
    with pytest.raises(FileNotFoundError, match=r"nowhere/S1/.*/img_000001\.jpg is not there.*h36m-fetch"):
        crops(0, 0)
