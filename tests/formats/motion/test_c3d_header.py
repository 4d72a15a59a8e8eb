"""What a C3D file claims is compared with its length before memory is taken."""

import struct

import pytest
import torch

from coview.errors import InputError
from coview.formats.motion.c3d import read_c3d, write_c3d
from coview.formats.motion.c3d_header import check_claims
from coview.formats.motion.poses3d import Poses3D
from coview.skeletons import COCO_17


@pytest.fixture
def whole(tmp_path):
    pytest.importorskip("ezc3d")
    path = tmp_path / "whole.c3d"
    write_c3d(Poses3D(torch.randn(6, 17, 3), None, None, None, 30.0, COCO_17), path)
    return path


def changed(path, at, layout, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, at, *values)
    path.write_bytes(data)
    return path


def parameter(path, name):
    """Where the name of a parameter ends: its offset, type and sides follow."""
    return path.read_bytes().index(name) + len(name)


def test_a_whole_file_passes(whole):
    check_claims(whole)
    assert len(read_c3d(whole).points) == 6


@pytest.mark.parametrize(
    ("at", "layout", "values"),
    [(2, "<H", [60_000]), (4, "<H", [60_000]), (6, "<2H", [1, 60_000])],
    ids=["points", "analog", "frames"],
)
def test_a_header_that_claims_gigabytes_is_refused(whole, at, layout, values):
    with pytest.raises(InputError, match=r"whole\.c3d was cut short: its header promises at least \d+ bytes"):
        read_c3d(changed(whole, at, layout, *values))


def test_parameters_that_claim_gigabytes_are_refused(whole):
    used = parameter(whole, b"USED") + 4
    with pytest.raises(InputError, match="promises at least"):
        read_c3d(changed(whole, used, "<H", 60_000))


def test_texts_without_letters_do_not_come_by_the_million(whole):
    """0 × 255 × 255 × 255 letters are no bytes, and 16 million texts."""
    data = whole.read_bytes()
    at = data.index(b"DESCRIPTIONS") + len(b"DESCRIPTIONS")
    whole.write_bytes(data[:at] + struct.pack("<HbB4B", 9, -1, 4, 0, 255, 255, 255) + data[at + 9 :])
    with pytest.raises(InputError, match="parameter DESCRIPTIONS claims"):
        read_c3d(whole)


@pytest.mark.parametrize("rate", [0.0, float("nan"), float("inf"), -1.0])
def test_a_rate_that_is_none_is_refused(whole, rate):
    with pytest.raises(InputError, match=r"POINT:RATE is .* a number above 0"):
        read_c3d(changed(whole, parameter(whole, b"RATE") + 4, "<f", rate))


def test_files_of_other_processors_are_measured_in_their_own_numbers(whole):
    """The processor's number alone turns 17 points into 4352: too many for the file."""
    start = (whole.read_bytes()[0] - 1) * 512
    with pytest.raises(InputError):
        check_claims(changed(whole, start + 3, "B", 86))
