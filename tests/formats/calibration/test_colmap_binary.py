"""COLMAP's binary model, byte by byte (layout as COLMAP's documentation has it)."""

import struct

import pytest

from coview.formats.calibration.colmap_binary import read_cameras, read_images

CAMERAS = struct.pack("<QiiQQ4d", 1, 5, 1, 1280, 720, 1000.0, 1001.0, 640.5, 360.5)
IMAGE = struct.pack("<I7dI", 3, 1.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 5) + b"a.jpg\0"
POINTS = struct.pack("<Qddqddq", 2, 1.0, 2.0, -1, 3.0, 4.0, 9)
IMAGES = struct.pack("<Q", 2) + IMAGE + POINTS + IMAGE.replace(b"a.", b"b.") + struct.pack("<Q", 0)


def test_by_hand(tmp_path):
    (tmp_path / "cameras.bin").write_bytes(CAMERAS)
    (tmp_path / "images.bin").write_bytes(IMAGES)
    assert read_cameras(tmp_path / "cameras.bin") == {
        5: ("PINHOLE", 1280, 720, [1000.0, 1001.0, 640.5, 360.5])
    }
    first, second = read_images(tmp_path / "images.bin")
    assert first == ([1.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3], 5, "a.jpg")
    assert second[2] == "b.jpg"


@pytest.mark.parametrize("cut", [4, 20, 50, len(IMAGES) - 4])
def test_cut_short(tmp_path, cut):
    (tmp_path / "images.bin").write_bytes(IMAGES[:cut])
    with pytest.raises(ValueError, match=r"images.bin ends in the middle"):
        read_images(tmp_path / "images.bin")


def test_an_unknown_model(tmp_path):
    (tmp_path / "cameras.bin").write_bytes(struct.pack("<QiiQQ", 1, 5, 99, 1, 1))
    with pytest.raises(ValueError, match="camera 5 has the model number 99, which this coview does not know"):
        read_cameras(tmp_path / "cameras.bin")
