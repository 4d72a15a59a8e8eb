from dataclasses import replace

import pytest
import torch

import coview
from coview.api.views import check_batches, check_cameras, check_pixels, check_placed, read_confidence
from coview.errors import InputError

RIG = coview.example_cameras(4)


def test_cameras_are_counted():
    assert check_cameras(RIG) == 4
    assert check_cameras(RIG.expand(7, 4)) == 4


@pytest.mark.parametrize(
    ("cameras", "words"),
    [
        (
            RIG.pixels_from_world,
            r"coview\.Cameras are needed, got Tensor\. Build them with coview\.make_cameras",
        ),
        (coview.Calibration(("a", "b", "c", "d"), RIG), r"got Calibration\. Pass its `\.cameras`"),
        (RIG[0], "a single camera without an axis of views"),
        (RIG[:1], "2 or more are needed, got 1"),
        (replace(RIG, intrinsics=RIG.intrinsics * torch.nan), "intrinsics hold NaN"),
    ],
)
def test_what_are_no_cameras_is_named(cameras, words):
    with pytest.raises(InputError, match=f"^cameras: .*{words}"):
        check_cameras(cameras, least=2)


def test_cameras_that_stand_nowhere_are_named():
    places = RIG.cam_from_world.clone()
    places[2] = torch.nan
    with pytest.raises(InputError, match="where camera 2 stands is not known"):
        check_placed(replace(RIG, cam_from_world=places))
    check_placed(RIG)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            (10, 4, 17, 3),
            r"a third number beside x and y\. If it is the confidence, pass pixels\[\.\.\., :2\]",
        ),
        ((4, 2), r"an axis of joints is missing\. Pass pixels\[\.\.\., None, :\]"),
        ((10, 3, 17, 2), "there are 4 cameras and 3 views"),
        ((10, 17, 4, 2), "views and joints are swapped"),
    ],
)
def test_pixels_in_another_layout_are_named(shape, words):
    with pytest.raises(InputError, match=f"^pixels: .*{words}"):
        check_pixels(torch.zeros(shape), 4)


def test_cameras_per_instant_are_as_many_as_instants():
    check_batches(RIG.expand(5, 4), torch.zeros(5, 4, 17, 2))
    check_batches(RIG.expand(1, 4), torch.zeros(5, 4, 17, 2))
    with pytest.raises(InputError, match=r"their batch is \(6,\) and that of the points \(5,\)"):
        check_batches(RIG.expand(6, 4), torch.zeros(5, 4, 17, 2))
    with pytest.raises(InputError, match=r"their batch is \(5,\)"):
        check_batches(RIG.expand(5, 4), torch.zeros(4, 17, 2))


def test_confidence():
    pixels = torch.zeros(5, 4, 17, 2)
    pixels[0, 0, 0, 0] = torch.nan
    assert read_confidence(None, pixels).sum() == 5 * 4 * 17 - 1
    given = torch.full((5, 4, 17), 0.5)
    given[1, 1, 1] = torch.nan
    assert read_confidence(given, pixels).sum() == 0.5 * (5 * 4 * 17 - 2)
    with pytest.raises(InputError, match=r"^confidence: .*views and joints are swapped"):
        read_confidence(given.mT, pixels)
    with pytest.raises(InputError, match=r"must be 0 .* the least is -0.5"):
        read_confidence(-given, pixels)
