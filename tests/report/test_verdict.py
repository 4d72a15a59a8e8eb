from dataclasses import replace

import torch

from coview.report.evidence import Reprojection, gather
from coview.report.verdict import judge, remarks


def words(evidence):
    return {line.words: line.tone for line in judge(evidence)[1]}


def said(evidence, part):
    return [tone for line, tone in words(evidence).items() if part in line]


def test_a_sound_session_is_called_sound(session):
    evidence = gather(session.path)
    headlines, lines = judge(evidence)
    assert [headline.value for headline in headlines][-1] == "± 1.6%"
    assert said(evidence, "have a 3D position") == ["good"]
    assert said(evidence, "Seen through the cameras") == ["good"]
    assert said(evidence, "keep their length") in (["good"], ["fair"])
    assert said(evidence, "stated stature 1.75 m") == ["note"]
    assert not [line for line in lines if line.tone == "poor"]


def test_a_camera_that_disagrees_is_named(session):
    evidence = gather(session.path)
    old = evidence.comparison
    errors = old.errors.clone()
    errors[:, 2] *= 5
    worse = replace(evidence, comparison=Reprojection(errors, old.seen, old.used))
    assert said(worse, "south agrees worse than the others") == ["fair"]
    used = old.used.clone()
    used[:, 1] = False
    silent = replace(evidence, comparison=Reprojection(old.errors, old.seen, used))
    assert said(silent, "east contributes nothing") == ["poor"]


def test_nothing_that_agrees_is_said(session):
    evidence = gather(session.path)
    old = evidence.comparison
    none = replace(evidence, comparison=Reprojection(old.errors, old.seen, torch.zeros_like(old.used)))
    assert said(none, "rests on nothing") == ["poor"]


def test_bones_that_stretch_and_sides_that_differ(session):
    evidence = gather(session.path)
    points = evidence.poses.points.clone()
    skeleton = evidence.skeleton
    knee, hip = skeleton.index("left_knee"), skeleton.index("left_hip")
    points[:, knee] += 0.3 * (points[:, knee] - points[:, hip])
    odd = replace(evidence, poses=replace(evidence.poses, points=points))
    assert said(odd, "Left and right differ in length more than bodies do") == ["fair"]
    wild = evidence.poses.points + 0.1 * torch.randn(40, 17, 3, generator=torch.Generator().manual_seed(0))
    assert said(replace(evidence, poses=replace(evidence.poses, points=wild)), "keep their length") == [
        "poor"
    ]


def test_refined_bones_are_no_test(session):
    evidence = gather(session.path)
    told = replace(evidence.poses, provenance=evidence.poses.provenance | {"refined": "bones held"})
    refined = replace(evidence, poses=told)
    assert said(refined, "Refining holds them together, so this is no test") == ["note"]
    assert not said(refined, "Nothing forces them")


def test_an_assumed_scale_is_a_warning_and_an_unknown_one_is_said(session):
    evidence = gather(session.path)
    calibration = evidence.calibration
    assumed = replace(calibration, provenance={"scale": "ASSUMED stature 1.7 m"})
    assert said(replace(evidence, calibration=assumed), "ASSUMED stature") == ["fair"]
    unknown = replace(calibration, scale_sigma=None)
    assert said(replace(evidence, calibration=unknown), "uncertainty is not known") == ["note"]


def test_remarks_on_the_calibration_are_pointed_at(session):
    evidence = gather(session.path)
    assert not said(evidence, "remark")
    noted = replace(evidence, calibration=replace(evidence.calibration, notes=("one",)))
    remarked = replace(noted, session=session.with_provenance(calibration_notes="one | another"))
    assert said(noted, "with 1 remark,") == ["fair"]
    assert said(remarked, "with 2 remarks,") == ["fair"]


def test_what_is_missing_comes_last(new_session):
    evidence = gather(new_session(calibrated=False, reconstructed=False).path)
    lines = judge(evidence)[1]
    assert lines[0].tone == "poor"
    assert "coview calibrate" in lines[-2].words


def test_a_remark_made_twice_and_of_several_cameras_is_one(session):
    """Import and calibration both find that the image size differs, and say so of every camera."""
    found = gather(session.path)
    notes = [f"camera '{name}': the calibration is for 640×480 pixels; K was scaled." for name in ("a", "b")]
    calibration = replace(found.calibration, provenance={"notes": " | ".join([*notes, "look again"])})
    stored = session.with_provenance(calibration_notes=" | ".join(notes))
    assert remarks(replace(found, calibration=calibration, session=stored)) == [
        "cameras 'a', 'b': the calibration is for 640×480 pixels; K was scaled.",
        "look again",
    ]
    assert remarks(found) == []
