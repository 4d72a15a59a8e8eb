import math
from dataclasses import replace

import pytest
import torch

from coview.cameras import Cameras
from coview.formats.calibration.clock import Clock
from coview.report.cameras import camera_facts, camera_lines, camera_section, covered_shares
from coview.report.evidence import gather


def test_a_sound_camera_is_good_and_says_how_sure_it_is(session):
    evidence = gather(session.path)
    facts = camera_facts(evidence)
    assert [one.name for one in facts] == ["north", "east", "south", "west"]
    assert {one.verdict for one in facts} == {("good", "")}
    assert facts[0].agreement.pixels.median == pytest.approx(2.5, abs=1.0)  # 3 px of noise, some of it fitted
    assert facts[0].centre_sigma == 0.004
    assert facts[0].covered == 1
    page = camera_section(evidence)
    assert page.count("<tr>") == 5
    assert "0.4\u00a0cm" in page
    assert camera_lines(evidence) == []


def test_clock_focal_length_and_their_uncertainty_are_shown_and_judged(session):
    known = session.calibration()
    clock = Clock(0.06, 2e-4, time_offset_sigma=0.0008, drift_sigma=3e-5)
    told = replace(known, clocks={"east": clock}, focal_sigma={"east": 4.0, "south": 900.0})
    evidence = replace(gather(session.path), calibration=told)
    north, east, south, _ = camera_facts(evidence)
    assert east.frames_sigma == pytest.approx(0.0008 * session.fps)
    assert north.verdict[0] == east.verdict[0] == "good"
    assert south.verdict == ("redo", "focal length ± 900 px")
    assert [line.words for line in camera_lines(evidence)] == [
        "south should be calibrated again: focal length ± 900 px."
    ]
    page = camera_section(evidence)
    assert "60.0\u00a0±\u00a00.8\u00a0ms" in page
    assert "200\u00a0±\u00a030.0\u00a0ppm" in page


def test_a_camera_that_stands_elsewhere_is_to_be_calibrated_again(session):
    """The 3D joints rest on the others; what it detects does not agree with them."""
    evidence = gather(session.path)
    compared = evidence.comparison
    used = compared.used.clone()
    used[:, 2, 3:] = False
    facts = camera_facts(replace(evidence, comparison=replace(compared, used=used)))
    assert facts[2].verdict[0] == "redo"
    assert "of its detections agree" in facts[2].verdict[1]
    assert facts[0].verdict[0] == "good"


def test_coverage_counts_places_not_frames():
    points = torch.zeros(100, 17, 3)
    points[90:, :, 0] = 2.1  # ten frames in another square
    seen = torch.ones(100, 2, 17, dtype=torch.bool)
    seen[90:, 1] = False
    assert covered_shares(points, seen) == [1.0, 0.5]
    assert all(math.isnan(share) for share in covered_shares(torch.full((5, 17, 3), torch.nan), seen[:5]))


def test_without_cameras_or_joints_there_is_no_such_part(new_session):
    evidence = gather(new_session(reconstructed=False).path)
    assert camera_section(evidence) == ""
    assert camera_lines(evidence) == []
    assert isinstance(evidence.cameras, Cameras)
