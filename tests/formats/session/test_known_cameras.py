from dataclasses import replace

import pytest
import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.session.known_cameras import has_intrinsics, image_sizes, known_cameras
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import COCO_17

NAMES = ("left", "right")


def session(path, sizes=(None, None), **provenance) -> Session:
    cameras = tuple(SessionCamera(name, size, None, 5) for name, size in zip(NAMES, sizes, strict=True))
    return Session(path, "take", 25.0, COCO_17, cameras, provenance)


def lenses(path, size=(640, 480)) -> str:
    """A calibration file, whose cameras stand in another order."""
    cameras = ring_cameras(2, size=size).to(torch.float64)
    write_calibration(Calibration(NAMES[::-1], cameras), path)
    return str(path)


def test_nothing_known(tmp_path):
    bare = session(tmp_path, calibration_source=str(tmp_path / "gone.toml"))
    assert not has_intrinsics(bare)
    assert known_cameras(bare) is None
    assert image_sizes(bare) == (None, None)


def test_a_file_that_it_came_with_has_intrinsics_and_no_places(tmp_path):
    came = session(tmp_path, calibration_source=lenses(tmp_path / "lenses.toml"))
    assert has_intrinsics(came)
    known = known_cameras(came)
    assert known.names == NAMES
    assert not known.has_extrinsics
    assert image_sizes(came) == ((640, 480), (640, 480))


def test_lenses_need_no_unit_of_length(tmp_path):
    file = tmp_path / "lenses.toml"
    came = session(tmp_path, calibration_source=lenses(file))
    text = file.read_text()
    lines = [line for line in text[: text.index("[metadata]")].splitlines() if "translation" not in line]
    file.write_text(
        "\n".join(
            "rotation = [0, 0, 0]\ntranslation = [40.0, 0, 0]" if "rotation" in line else line
            for line in lines
        )
    )
    assert image_sizes(came) == ((640, 480), (640, 480))


def test_its_own_calibration_goes_before_and_what_was_recorded_before_both(tmp_path):
    came = session(tmp_path, calibration_source=lenses(tmp_path / "lenses.toml"))
    lenses(came.calibration_path, size=(1280, 960))
    assert known_cameras(came).has_extrinsics
    assert image_sizes(came) == ((1280, 960), (1280, 960))
    mixed = session(tmp_path, sizes=(None, (1280, 960)))
    assert image_sizes(mixed) == ((1280, 960), (1280, 960))


def test_a_damaged_calibration_is_said_where_a_size_has_to_come_from_it(tmp_path):
    bare = session(tmp_path)
    bare.calibration_path.write_text("[cam_left]\nname = 3")
    with pytest.raises(ValueError, match=r"calibration\.toml"):
        image_sizes(bare)
    sized = replace(bare, cameras=tuple(replace(camera, size=(64, 48)) for camera in bare.cameras))
    assert image_sizes(sized) == ((64, 48), (64, 48))
