"""The unit is stated, given, or inferred and said; never assumed."""

from pathlib import Path

import numpy as np
import pytest

from coview.formats.calibration.file_camera import FileCalibration, FileCamera
from coview.formats.calibration.units import metres_per_unit

PATH = Path("rig.toml")


def rig(distance: float, units: str | None = None, cameras: int = 2, lens_only: bool = False):
    """Cameras in a row; a single one stands `distance` from the origin."""
    places = [distance * (n + (cameras == 1)) for n in range(cameras)]
    poses = [(None, None) if lens_only else (np.eye(3), np.array([place, 0.0, 0.0])) for place in places]
    made = [
        FileCamera(f"c{n}", f"c{n}", (10.0, 10.0), np.eye(3), (), False, *pose)
        for n, pose in enumerate(poses)
    ]
    return FileCalibration(tuple(made), "test", units, {})


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("cm", 0.01), ("mm", 0.001)])
def test_stated_or_given(unit, metres):
    assert metres_per_unit(rig(3, unit), None, PATH) == (
        metres,
        f"{unit}, as stated by the file or its format",
    )
    assert metres_per_unit(rig(3 / metres), unit, PATH) == (metres, f"{unit}, as given by --units")


@pytest.mark.parametrize(
    ("distance", "metres"), [(0.6, 1.0), (5, 1.0), (49, 1.0), (600, 0.001), (5000, 0.001)]
)
@pytest.mark.parametrize("cameras", [1, 2])
def test_inferred_and_said(distance, metres, cameras):
    factor, said = metres_per_unit(rig(distance, cameras=cameras), None, PATH)
    assert factor == metres
    assert f"its cameras are {distance:g} apart (median), so they were taken for" in said


@pytest.mark.parametrize("distance", [0.0, 0.1, 60, 400, 1e6])
def test_ambiguous(distance):
    with pytest.raises(
        ValueError, match=r"rig.toml states no unit; .* Pass --units m, --units cm or --units mm"
    ):
        metres_per_unit(rig(distance), None, PATH)


def test_contradictions_and_unknown_units():
    with pytest.raises(ValueError, match="states its lengths in mm, and --units says m"):
        metres_per_unit(rig(3, "mm"), "m", PATH)
    with pytest.raises(ValueError, match="units are 'furlong'; understood are m, cm, mm"):
        metres_per_unit(rig(3, "furlong"), None, PATH)


def test_lenses_have_no_lengths():
    assert metres_per_unit(rig(0, lens_only=True), None, PATH)[0] is None


@pytest.mark.parametrize(("distance", "unit"), [(5.6, "mm"), (5600, "m")])
def test_a_unit_that_no_rig_can_have_is_refused(distance, unit):
    with pytest.raises(ValueError, match=rf"rig.toml: with --units {unit} its cameras would be .* m apart"):
        metres_per_unit(rig(distance), unit, PATH)
