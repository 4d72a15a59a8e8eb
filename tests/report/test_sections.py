from coview.report.evidence import gather
from coview.report.sections import (
    bone_section,
    coverage_section,
    error_section,
    headline_section,
    scene_section,
)


def test_headlines_are_text_not_markup():
    assert "&lt;b&gt;" in headline_section("<b>", "", [], [])


def test_without_3d_every_section_says_what_is_missing(new_session):
    evidence = gather(new_session(reconstructed=False).path)
    assert "run `coview reconstruct`" in scene_section(evidence)
    assert "not all of them are there yet" in error_section(evidence)
    assert bone_section(evidence) == ""
    assert coverage_section(evidence) == ""
