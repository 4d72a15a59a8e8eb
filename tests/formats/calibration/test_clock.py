"""Clocks: what offset and drift mean, which frame is which, and the way through a file."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.calibration.clock import Clock, clocks_from_table, clocks_to_table, frame_places


def test_a_camera_that_began_late_shows_the_reference_frame_earlier_in_its_own_recording():
    # It began 2 frames late at 50 Hz, so what the reference saw in frame 10 is its own frame 8.
    places = frame_places({"late": Clock(0.04)}, ("first", "late"), 12, 50.0)
    assert places[10].tolist() == pytest.approx([10.0, 8.0])
    assert places[0, 1] == pytest.approx(-2.0), "it did not record yet"


@settings(deadline=None)
@given(st.floats(-10, 10), st.floats(-0.01, 0.01), st.floats(1, 240))
def test_places_invert_the_definition(offset, drift, fps):
    place = frame_places({"a": Clock(offset, drift)}, ("a",), 50, fps)[:, 0]
    nominal = place / fps
    torch.testing.assert_close(
        nominal + offset + drift * nominal, torch.arange(50).double() / fps, atol=1e-9, rtol=0
    )


def test_a_table_and_back_leaves_out_what_is_not_known():
    clocks = {"a": Clock(0.012, -3e-5, 0.001, 2e-6), "b": Clock(-1.5)}
    table = clocks_to_table(clocks)
    assert table["b"] == {"offset_s": -1.5, "drift": 0.0}
    found = clocks_from_table(table, "here")
    assert found["a"] == clocks["a"]
    assert found["b"].time_offset == -1.5
    assert math.isnan(found["b"].time_offset_sigma)


@pytest.mark.parametrize(
    "row", [{"offset_s": "late"}, {"offset_s": math.nan}, {"drift": 1.0}, 0.02, {"offset_ms": 20.0}]
)
def test_what_is_no_clock_is_named(row):
    with pytest.raises(ValueError, match=r"file\.toml: the clock of camera 'b'"):
        clocks_from_table({"b": row}, "file.toml")


def test_what_is_no_table_of_clocks_is_not_taken_for_none():
    with pytest.raises(ValueError, match=r"file\.toml: \[metadata\.clocks\] should be a table.*'none'"):
        clocks_from_table("none", "file.toml")
