"""A calibration for another image size is scaled, kept with a warning, or refused; never used silently."""

import pytest
import torch

from coview.cameras import Cameras
from coview.formats.calibration.fit_size import fit_size


def camera(width=1088, height=1920) -> Cameras:
    matrix = torch.tensor([[1681.2, 0, 533.0], [0, 1681.1, 948.1], [0, 0, 1]], dtype=torch.float64)
    size = torch.tensor([width, height], dtype=torch.float64)
    return Cameras.make(matrix, torch.eye(3, 4, dtype=torch.float64), size)


def test_the_same_size_is_left_alone():
    given = camera()
    assert fit_size(given, (1088, 1920), "a", "keep") == (given, "")


@pytest.mark.parametrize("mode", ["keep", "centre", "resize", "refuse"])
def test_the_same_picture_at_half_size_is_scaled_with_the_half_pixel_rule(mode):
    fitted, note = fit_size(camera(), (544, 960), "a", mode)
    torch.testing.assert_close(fitted.focal, camera().focal / 2)
    # pixel centres are whole numbers: c' = (c + 0.5) / 2 - 0.5
    torch.testing.assert_close(fitted.principal_point, (camera().principal_point + 0.5) / 2 - 0.5)
    assert "the same picture 0.5 times as large; K was scaled" in note


def test_a_crop_keeps_k_and_warns():
    # the sample recording: calibrated at 1088, filmed at 1080 pixels of width
    fitted, note = fit_size(camera(), (1080, 1920), "cam01", "keep")
    assert torch.equal(fitted.intrinsics, camera().intrinsics)
    assert fitted.size.tolist() == [1080, 1920]
    for part in (
        "'cam01'",
        "1088×1920",
        "1080×1920",
        "UNCHANGED",
        "up to 8 px",
        "--size-mismatch centre",
        "resize",
        "refuse",
    ):
        assert part in note


def test_centre_takes_half_from_each_side():
    fitted, note = fit_size(camera(), (1080, 1920), "a", "centre")
    torch.testing.assert_close(
        fitted.principal_point, camera().principal_point - torch.tensor([4.0, 0]).double()
    )
    assert "crop around the middle" in note


def test_resize_stretches():
    fitted, _ = fit_size(camera(), (1080, 1920), "a", "resize")
    torch.testing.assert_close(fitted.focal[0], camera().focal[0] * 1080 / 1088)
    torch.testing.assert_close(fitted.focal[1], camera().focal[1])


def test_refuse():
    with pytest.raises(ValueError, match=r"camera 'a'.*1088×1920.*1080×1920.*off by up to 8 px"):
        fit_size(camera(), (1080, 1920), "a", "refuse")


def test_a_crop_of_few_pixels_is_not_taken_for_scaling():
    # 1084/1088 is within the tolerance of the aspect ratio, but the height did not change
    _, note = fit_size(camera(), (1084, 1920), "a", "keep")
    assert "UNCHANGED" in note


@pytest.mark.parametrize("size", [(1920, 1088), (960, 544)])
def test_swapped_width_and_height(size):
    with pytest.raises(
        ValueError, match=r"width and height are exchanged.*\[height, width\], or the video is turned"
    ):
        fit_size(camera(), size, "a", "keep")
