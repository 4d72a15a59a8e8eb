import json
import re
from dataclasses import replace

import pytest

from coview.formats.calibration.calibration import write_calibration
from coview.report.page import write_report

SECTIONS = ("scene", "overlay", "cameras", "errors", "bones", "coverage", "run-first_model", "assumed")


@pytest.fixture(scope="module")
def page(session, tmp_path_factory):
    return write_report(session.path, tmp_path_factory.mktemp("page") / "out.html").read_text()


def without_data(page):
    """The page less the long encoded parts."""
    return re.sub(r"[A-Za-z0-9+/=]{2000,}", "DATA", page)


def test_the_page_has_every_part(page):
    found = re.findall(r'<section id="([^"]+)"', page)
    assert tuple(found) == SECTIONS
    assert page.count("<img ") == 12  # 4 cameras, 3 instants
    assert page.count('<figure class="chart">') == 2
    for words in (
        "stated stature 1.75 m",
        "from the body, ± 0.8°",
        "N-MPJPE 61 mm",
        "6 Hz",
        "method.hidden",
        "least-squares scaled",
        "mirror_flipped",
    ):
        assert words in page


def test_the_page_asks_for_nothing(page):
    plain = without_data(page)
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?!data:)(?:https?:)?//""", plain)
    assert "http" not in re.sub(r"http-equiv", "", plain)
    assert "default-src 'none'" in plain
    assert len(page) < 8_000_000


def test_names_from_the_session_are_text_not_markup(page):
    assert "walk &amp; &lt;turn&gt;" in page
    assert "<turn>" not in page


def test_messages_and_file_names_are_text_not_markup(new_session):
    """Wherever they come from: the recording, the calibration, the 3D joints, a run."""
    nasty = """<img src=x onerror="alert('1')">&"""
    session = new_session()
    session.with_provenance(source=nasty, calibration_notes=nasty).save()
    calibration = session.calibration()
    told = replace(calibration, provenance={**calibration.provenance, "scale": nasty})
    write_calibration(told, session.calibration_path)
    run = session.models_dir / "first_model"
    (run / "history.csv").write_text('step,"<img a>"\n1,2\n2,3\n')
    (run / "evaluation.json").write_text(
        json.dumps({"metrics": {nasty: nasty}, "definitions": {nasty: nasty}})
    )
    run.rename(run.with_name("a <img> & 'b'"))
    page = without_data(write_report(session.path).read_text())
    assert page.count("&lt;img src=x onerror=&#34;alert(&#39;1&#39;)&#34;&gt;&amp;") >= 6
    assert (
        len(re.findall("<img", page)) == len(re.findall('<img alt="', page)) == 12
    )  # the pictures, no other


def test_what_is_for_programs_is_left_out(page):
    assert "file hash" not in page


def test_by_default_the_page_lies_in_the_session(new_session):
    session = new_session(trained=False)
    assert write_report(session.path) == session.report_path
    assert session.report_path.is_file()


def test_a_session_with_only_2d_joints_says_what_is_missing(new_session):
    session = new_session(calibrated=False, reconstructed=False, trained=False)
    page = write_report(session.path).read_text()
    assert "There are no 3D joints yet" in page
    assert "is not calibrated" in page
    assert "No 3D joints yet: run `coview reconstruct`." in page
    assert page.count("<img ") == 12


def test_a_run_alone_has_its_own_page(new_run):
    path = new_run()
    page = write_report(path).read_text()
    assert page.count('<figure class="chart">') == 2
    assert "Training run, 29 steps" in page
    assert "<b>61.25 mm</b><span>N-MPJPE</span>" in page


def test_an_unfinished_run_and_a_folder_that_is_neither(new_run, tmp_path):
    path = new_run()
    (path / "history.csv").unlink()
    (path / "evaluation.json").unlink()
    with pytest.raises(ValueError, match="has nothing to report yet: neither training curves"):
        write_report(path)
    with pytest.raises(FileNotFoundError, match="is neither a session"):
        write_report(tmp_path)


def test_an_old_page_survives_a_failure(new_session):
    session = new_session()
    session.report_path.write_text("old")
    session.poses3d_path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=session.poses3d_path.name):
        write_report(session.path)
    assert session.report_path.read_text() == "old"
