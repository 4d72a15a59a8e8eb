from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from coview.report.colours import CANVAS, DETECTION
from coview.report.evidence import gather
from coview.report.overlay import SIZE, encode, instants, overlays


def close_to(picture, colour, by=30):
    return np.abs(picture.astype(int) - np.array(colour)).max(axis=-1) < by


def test_instants_are_spread_and_end_with_the_worst(session):
    evidence = gather(session.path)
    frames = instants(evidence, 3)
    assert len(set(frames)) == 3
    compared = evidence.comparison
    median = [
        float(compared.errors[f][compared.used[f]].median()) for f in range(40) if compared.used[f].any()
    ]
    worst = frames[-1]
    assert float(compared.errors[worst][compared.used[worst]].median()) >= max(median) - 1.5
    assert 7 not in frames  # the frame without 3D joints
    assert len(instants(evidence, 1)) == 1


def test_a_blank_canvas_shows_detections_and_skeleton(session):
    evidence = gather(session.path)
    ((one,), *rest) = overlays(evidence, [20])
    assert len(rest) == 3
    assert one.picture.shape == (SIZE[1], SIZE[0], 3)
    assert not one.on_video
    assert 0 < one.median_px < 10
    assert close_to(one.picture, CANVAS, 3).mean() > 0.6
    assert close_to(one.picture, DETECTION).sum() > 200
    assert cv2.imdecode(np.frombuffer(encode(one.picture), np.uint8), 1).shape == one.picture.shape


def test_detections_alone_and_joints_alone_are_drawn(session):
    evidence = gather(session.path)
    alone = replace(evidence, projected=None, comparison=None)
    assert close_to(overlays(alone, [20])[0][0].picture, DETECTION).sum() > 200
    no_pixels = replace(evidence, pixels=None, comparison=None)
    picture = overlays(no_pixels, [20])[0][0]
    assert close_to(picture.picture, DETECTION).sum() < 50
    assert picture.median_px != picture.median_px


def test_a_frame_with_nothing_in_it_is_a_blank_canvas(session):
    evidence = gather(session.path)
    nothing = torch.full_like(evidence.pixels, torch.nan)
    blank = replace(evidence, pixels=nothing, projected=nothing, comparison=None)
    assert close_to(overlays(blank, [0])[0][0].picture, CANVAS, 2).all()
    assert instants(blank, 3) == []


@pytest.fixture
def filmed(new_session):
    """A session whose first camera has a video: a white dot at each reprojected nose."""
    session = new_session()
    evidence = gather(session.path)
    video = session.path / "north.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width = stream.height = 1000
        stream.pix_fmt, stream.bit_rate = "yuv420p", 20_000_000
        nose = evidence.skeleton.index("nose")
        for point in evidence.projected[:12, 0, nose].nan_to_num(500.0).round().int().tolist():
            picture = np.full((1000, 1000, 3), (20, 120, 40), dtype=np.uint8)
            cv2.circle(picture, tuple(point), 14, (255, 255, 255), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    cameras = (replace(session.cameras[0], video=video), *session.cameras[1:])
    replace(session, cameras=cameras).save()
    return gather(session.path)


def test_joints_are_drawn_where_they_are_in_the_video(filmed):
    first = overlays(filmed, [10])[0][0]
    assert first.on_video
    assert close_to(first.picture, (20, 120, 40), 40).mean() > 0.5
    dot = close_to(first.picture, (255, 255, 255), 60)
    assert dot.any()
    ring = np.stack(np.nonzero(close_to(first.picture, (140, 150, 160), 25))).T  # the nose and trunk: grey
    middle = np.stack(np.nonzero(dot)).mean(axis=1)
    assert np.linalg.norm(ring - middle, axis=1).min() < 12
    assert not overlays(filmed, [10])[1][0].on_video


def test_a_video_that_has_moved_or_is_broken_leaves_a_canvas(filmed):
    video = filmed.session.cameras[0].video
    video.write_bytes(b"not a video")
    assert not overlays(filmed, [10])[0][0].on_video
    video.unlink()
    assert not overlays(filmed, [10])[0][0].on_video
