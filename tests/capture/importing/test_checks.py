"""What cannot be one recording is refused, with the numbers; what is doubtful is noted."""

import pytest
import torch

from coview.capture.importing.checks import check_seen, check_several, rate, said_skeleton, warnings
from coview.formats.io.video import VideoInfo
from coview.formats.keypoints.detections import Detections
from coview.formats.keypoints.view_joints import ViewJoints


def view(frames=4, joints=17, **rest):
    return ViewJoints(torch.rand(frames, 1, joints, 3), **rest)


def video(fps: float | None = 30.0, frames=4, uneven=False):
    return VideoInfo((100, 100), fps, frames, 0, uneven)


def test_one_camera():
    with pytest.raises(
        ValueError, match=r"here holds 2D joints of one camera only \(a\)\. .*needs two or more"
    ):
        check_several({"a": view()}, "here")
    check_several({"a": view(), "b": view()}, "here")


def test_different_detectors():
    with pytest.raises(
        ValueError, match=r"different numbers of joints per person: a 17, b 25\. .*same model"
    ):
        check_several({"a": view(), "b": view(joints=25)}, "here")


def test_skeletons_that_files_name():
    assert said_skeleton({"a": view(skeleton="coco_17"), "b": view()}) == "coco_17"
    assert said_skeleton({"a": view()}) is None
    with pytest.raises(ValueError, match="name different skeletons: body_25, coco_17"):
        said_skeleton({"a": view(skeleton="coco_17"), "b": view(skeleton="body_25")})


def detections(x: float, y: float, confidence: float = 0.5):
    return Detections.make(torch.tensor([x, y, confidence]).expand(1, 3, 1, 5, 3))


def test_joints_pass_up_to_the_edge_of_their_image():
    """The last pixel's centre is at 99, its edge at 99.5; of an unknown size everything is inside."""
    check_seen(detections(99, 50), {"a": (100, 60)})
    check_seen(detections(99.4, 59.4), {"a": (100, 60)})
    check_seen(detections(5000, 50), {"a": None})
    with pytest.raises(ValueError, match="outside the video"):
        check_seen(detections(99.6, 50), {"a": (100, 60)})


def test_joints_outside_their_image():
    with pytest.raises(
        ValueError, match=r"'a': 100% .* outside the video of 100×60 .* x = 500, y = 50.*another size"
    ):
        check_seen(detections(500, 50), {"a": (100, 60)})


def test_joints_of_a_turned_video():
    with pytest.raises(ValueError, match=r"would fit if width and height were swapped: the video was turned"):
        check_seen(detections(50, 90), {"a": (100, 60)})


def test_zero_confidence_everywhere():
    with pytest.raises(ValueError, match="'a': 3 frames, but not one joint with a confidence above 0"):
        check_seen(detections(50, 50, 0.0), {"a": (100, 60)})


def test_rates_in_order_of_trust():
    views = {"a": view(fps=25.0), "b": view()}
    assert rate(50.0, views, {"a": video()}) == (50.0, "50, as given by --fps")
    assert rate(None, views, {"a": video(29.97)}) == (29.97, "29.97, from the videos")
    assert rate(None, views, {"a": video(None)}) == (25.0, "25, from the files of 2D joints")
    fps, said = rate(None, {"a": view()}, {})
    assert fps == 30
    assert "A GUESS" in said
    assert "--fps" in said


def test_different_rates():
    with pytest.raises(ValueError, match=r"different frame rates: a 30, b 60 \(from the videos\)"):
        rate(None, {}, {"a": video(30.0), "b": video(60.0)})
    assert rate(None, {}, {"a": video(29.97), "b": video(30.0)})[0] == 29.97


def test_warnings():
    assert warnings({"a": view()}, {"a": video(frames=6)}) == {}
    found = warnings({"a": view()}, {"a": video(frames=9, uneven=True)})
    assert "a: 4 frames of joints, 9 of video" in found["warning_lengths"]
    assert "frame rate of a varies" in found["warning_rate"]


def test_confidences_above_one_are_said():
    loud = ViewJoints(torch.full((4, 1, 17, 3), 3.0))
    assert "confidences of b are above 1" in warnings({"a": view(), "b": loud}, {})["warning_confidence"]
