"""Cameras are matched by name, never by position."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.io.camera_names import listed, match_names, natural_key, plain_name


def test_natural_order():
    names = ["cam_10", "cam_2", "Cam_1", "12", "9"]
    assert sorted(names, key=natural_key) == ["9", "12", "Cam_1", "cam_2", "cam_10"]
    assert listed(names) == "9, 12, Cam_1, cam_2, cam_10"
    assert listed([]) == "none"


@pytest.mark.parametrize("name", ["cam_01", "cam01", "Cam 1", "cam01_json", "int_cam01_img", "CAM-001"])
def test_trivial_differences_vanish(name):
    assert plain_name(name) == "cam1"


def test_different_cameras_stay_different():
    assert len({plain_name(name) for name in ("cam1", "cam11", "cam10", "1", "camera1", "a1", "front")}) == 7


def test_matching_bridges_trivial_differences():
    assert match_names(["cam01", "cam02"], ["cam_02", "cam_01"]) == {"cam01": "cam_01", "cam02": "cam_02"}


def test_an_identical_name_goes_first():
    assert match_names(["cam1", "cam01"], ["cam01", "cam1"]) == {"cam1": "cam1", "cam01": "cam01"}


def test_a_prefix_of_the_recording_is_bridged():
    assert match_names(["take3_cam1", "take3_cam11"], ["cam11", "cam1"]) == {
        "take3_cam1": "cam1",
        "take3_cam11": "cam11",
    }


@pytest.mark.parametrize(
    ("wanted", "available"),
    [
        (["cam1"], ["cam11"]),
        (["cam11"], ["1"]),
        (["left"], ["right"]),
        (["a"], ["x_a", "y_a"]),  # two candidates: neither
        (["cam1"], ["cam_1", "cam_01"]),
        ([], ["cam1"]),
    ],
)
def test_doubtful_names_are_not_matched(wanted, available):
    assert match_names(wanted, available) == {}


@given(st.lists(st.text("abc_01", min_size=1, max_size=4), unique=True, max_size=6), st.randoms())
@settings(deadline=None)
def test_order_never_matters(names, random):
    shuffled = random.sample(names, len(names))
    assert match_names(names, shuffled) == {name: name for name in names}


def test_accents_are_equal_in_either_form_of_unicode():
    composed, taken_apart = "caméra gauche", "came\u0301ra gauche"
    assert composed != taken_apart
    assert match_names([composed], ["other", taken_apart]) == {composed: taken_apart}
    assert plain_name(composed) == plain_name(taken_apart)


def test_serial_numbers_in_names_of_nexus():
    films = ["Walk 03.2118670.20190514134521", "Walk 03.2118671.20190514134521"]
    assert match_names(["2118670", "2118671"], films) == dict(zip(["2118670", "2118671"], films, strict=True))
    assert match_names(["t.2118671", "t.2118670"], films) == {"t.2118670": films[0], "t.2118671": films[1]}
    assert match_names(["20190514134521"], films) == {}, "the time, which both have, is no camera"
    assert match_names(["211867"], films) == {}


def test_numbers_side_by_side_stay_apart():
    assert plain_name("IMG_0012 (1)") != plain_name("IMG_0121")
    assert plain_name("IMG_0012 (1)") == plain_name("img 12 1")
