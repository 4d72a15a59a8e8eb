"""Shares of the image's width and height are found, named, and made pixels where the user says so."""

import pytest
import torch

from coview.formats.keypoints.normalised import in_pixels
from coview.formats.keypoints.view_joints import ViewJoints

SIZE = (640, 480)


def view(of=lambda pixels: pixels, **facts):
    pixels = torch.rand(5, 1, 17, 2) * torch.tensor([400.0, 300]) + 100
    confidence = torch.ones(5, 1, 17, 1)
    return ViewJoints(torch.cat([of(pixels), confidence], dim=-1), **facts), pixels


def unit(pixels):
    return pixels / torch.tensor([640.0, 480])


def signed(pixels):
    return unit(pixels) * 2 - 1


@pytest.mark.parametrize(("of", "kind", "span"), [(unit, "unit", "0 to 1"), (signed, "signed", "−1 to 1")])
def test_they_are_refused_by_name_and_read_when_asked(of, kind, span):
    shares, pixels = view(of)
    with pytest.raises(ValueError, match=rf"camera 'cam1': .* no pixels .*{span}.*--normalised {kind}\."):
        in_pixels(shares, "cam1", SIZE)
    with pytest.raises(ValueError, match=rf"--normalised {kind} and --image-size WIDTH HEIGHT"):
        in_pixels(shares, "cam1", None)
    with pytest.raises(ValueError, match=r"cannot be made pixels\. Give the video, or pass --image-size"):
        in_pixels(shares, "cam1", None, kind)
    made = in_pixels(shares, "cam1", SIZE, kind)
    assert torch.allclose(made.points[..., :2], pixels, atol=1e-3)
    assert (made.size, made.normalised) == (SIZE, None)


def test_a_file_that_says_so_needs_the_size_alone():
    shares, pixels = view(unit, normalised="unit")
    assert torch.allclose(in_pixels(shares, "cam1", SIZE).points[..., :2], pixels, atol=1e-3)


def test_absent_joints_stay_absent():
    shares, _ = view(signed)
    shares.points[0, 0, 0] = 0.0
    assert (in_pixels(shares, "c", SIZE, "signed").points[0, 0, 0] == 0).all()


def test_pixels_stay_as_they_are():
    given, pixels = view()
    assert torch.equal(in_pixels(given, "c", None).points[..., :2], pixels)
    assert in_pixels(given, "c", SIZE).size == SIZE
    with pytest.raises(ValueError, match="they are pixels already"):
        in_pixels(given, "c", SIZE, "unit")


def test_a_few_wild_detections_do_not_hide_it():
    shares, _ = view(unit)
    shares.points[0, 0, 0, :2] = 900.0
    with pytest.raises(ValueError, match=r"no pixels|These are"):
        in_pixels(ViewJoints(shares.points.repeat(5, 1, 1, 1)[:, :, 1:]), "c", SIZE)


def test_nobody_is_not_small():
    empty = ViewJoints(torch.full((3, 1, 17, 3), torch.nan))
    assert in_pixels(empty, "c", None).points.isnan().all()
