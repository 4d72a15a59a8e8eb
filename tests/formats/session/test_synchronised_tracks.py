"""Views at the same times: a late camera is read between its frames, and nobody reads a session past this door."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import coview
from coview.body.procedural_motion import random_motion
from coview.capture.reconstruction.reconstruct import reconstruct
from coview.data.synthetic.recordings import ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.calibration.clock import Clock
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import Session, SessionCamera
from coview.formats.session.synchronised_tracks import nearest_pictures, session_tracks
from coview.skeletons import H36M_17

FPS, FINE, FRAMES = 50.0, 20, 150
NAMES = ("a", "b", "c", "d")
CLOCK = Clock(2.4 / FPS, 2e-3)


def late_session(
    path: Path, clock: Clock = CLOCK, noise: float = 0.0, told: bool = True
) -> tuple[Session, torch.Tensor]:
    """Four cameras, the second with `clock`; and the joints at the reference's frames."""
    motion = random_motion(int((FRAMES + 80) * FINE), fps=FPS * FINE, seed=3).double()
    cameras = ring_cameras(4, start_angle=0.3)
    nominal = torch.arange(FRAMES).double() / FPS
    points = []
    for view in range(4):
        time = nominal + clock.time_offset + clock.drift * nominal if view == 1 else nominal
        place = (time * FPS + 40) * FINE
        low = place.floor().long()
        share = (place - low)[:, None, None]
        moment = (1 - share) * motion[low] + share * motion[low + 1]
        points.append(cameras[view].to(torch.float64).project(moment))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.stack(points)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    seen = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    session = Session(
        path,
        path.name,
        FPS,
        H36M_17,
        tuple(SessionCamera(name, (1000, 1000), None, FRAMES) for name in NAMES),
    )
    session.save()
    write_detections(session.detections_dir, NAMES, Detections.make(seen[:, :, None].float()))
    calibration = Calibration(NAMES, cameras.to(torch.float64), clocks={"b": clock} if told else {})
    write_calibration(calibration, session.calibration_path)
    return session, motion[((nominal * FPS + 40) * FINE).round().long()]


def test_a_late_camera_shows_what_the_others_show(tmp_path):
    session, truth = late_session(tmp_path / "s")
    pixels, confidence = session_tracks(session)
    exact = session.calibration().cameras.project(truth[:, None])
    error = (pixels - exact).norm(dim=-1)
    assert confidence[3:, 1].min() == 1.0
    assert error[:, [0, 2, 3]].max() < 0.01
    assert error[6:, 1].max() < 2.0
    assert error[6:, 1].mean() < 0.2
    raw = session_tracks(session, {})[0]
    assert (raw - exact).norm(dim=-1)[:, 1].mean() > 5, "the test moves enough to tell"


def test_not_seen_before_it_began(tmp_path):
    session, _ = late_session(tmp_path / "s", Clock(0.2))
    pixels, confidence = session_tracks(session)
    assert pixels[:9, 1].isnan().all()
    assert (confidence[:9, 1] == 0).all()
    assert (confidence[10:, 1] > 0).all()
    assert nearest_pictures(session)[[0, 9, 10, 30]].tolist() == [
        [0, -1, 0, 0],
        [9, -1, 9, 9],
        [10, 0, 10, 10],
        [30, 20, 30, 30],
    ]


def test_gaps_stay_gaps_and_cameras_on_time_are_untouched(tmp_path):
    session, _ = late_session(tmp_path / "s")
    given = session.detections()
    joints = given.joints.clone()
    joints[1, 60:80] = torch.nan
    write_detections(session.detections_dir, NAMES, replace(given, joints=joints))
    pixels, confidence = session_tracks(session)
    assert (confidence[64:81, 1] == 0).all()
    assert torch.equal(pixels[:, 0], joints[0, :, 0])


def test_a_clock_of_another_recording_is_refused(tmp_path):
    session, _ = late_session(tmp_path / "s")
    with pytest.raises(ValueError, match=r"camera c recorded nothing at the time .* Clocks belong to one"):
        session_tracks(session, {"c": Clock(100.0)})


def test_a_late_camera_is_read_between_its_frames(tmp_path):
    """2.4 frames late and drifting: as good as on time if the calibration says so, clearly worse if not."""
    errors = {}
    for name, clock, told in (("on time", Clock(), True), ("told", CLOCK, True), ("not told", CLOCK, False)):
        session, truth = late_session(tmp_path / name.replace(" ", "_"), clock, noise=2.0, told=told)
        points = reconstruct(session).poses.points
        errors[name] = float((1000 * (points - truth).norm(dim=-1))[10:].nanmean())
    assert errors["told"] < 1.1 * errors["on time"]
    assert errors["not told"] > 1.5 * errors["on time"]


def test_nobody_reads_a_session_past_this_door():
    """`Session.detections` and `followed` give each camera's own frames: comparing views needs `session_tracks`.

    `capture/association/stage.py` numbers the people in each camera's own frames, and hands their
    lags to the association."""
    source = Path(coview.__file__).parent
    readers = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if re.search(r"\.(detections\(\)|followed\()", path.read_text())
    }
    assert readers == {
        "formats/session/session.py",
        "formats/session/synchronised_tracks.py",
        "capture/association/stage.py",
    }
