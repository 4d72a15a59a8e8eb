"""The part of the page about models that looked at the videos."""

from dataclasses import replace

import pytest

from coview.formats.motion.poses3d import Poses3D
from coview.report.evidence import gather
from coview.report.image_methods import found_in_images, image_lines, image_section
from coview.report.page import write_report


@pytest.fixture
def looked_at(new_session):
    """A session with a result 50 mm beside the triangulation."""
    session = new_session(trained=False)
    poses = session.poses3d()
    said = {"method": "AlgebraicTriangulation <b>", "weights": "/runs/one", "crop": "128 px, margin 1.3"}
    shifted = Poses3D(poses.points + 0.05 / 3**0.5, None, None, None, 25.0, poses.skeleton, said)
    shifted.save(session.path / "joints3d_algebraic.npz")
    return session


def test_numbers_and_origin_are_shown(looked_at):
    found = found_in_images(gather(looked_at.path))
    assert [one.kind for one in found] == ["algebraic"]
    page = image_section(found)
    assert "<b>50.0\u00a0mm</b>" in page
    assert "0.0\u00a0mm" in page  # after alignment
    assert "no truth" in page
    assert "AlgebraicTriangulation &lt;b&gt;" in page
    assert "look at both before using" in page
    [line] = image_lines(found)
    assert line.tone == "fair"
    assert "50 mm from the detections" in line.words
    assert image_section(()) == ""


def test_the_page_holds_it(looked_at, tmp_path):
    page = write_report(looked_at.path, tmp_path / "r.html").read_text()
    assert "From the images" in page


def test_what_cannot_be_compared_says_why(looked_at):
    path = looked_at.path / "joints3d_algebraic.npz"
    poses = Poses3D.load(path)
    replace(poses, provenance={"calibration_hash": "older"}).save(path)
    [one] = found_in_images(gather(looked_at.path))
    assert "calibrated again" in one.why_not
    assert "not compared" in image_section((one,))
    replace(poses, points=poses.points[:9]).save(path)
    [one] = found_in_images(gather(looked_at.path))
    assert "9 frames from the images" in one.why_not
    looked_at.poses3d_path.unlink()
    [one] = found_in_images(gather(looked_at.path))
    assert "not triangulated" in one.why_not
    assert image_lines((one,)) == []
