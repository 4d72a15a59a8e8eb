"""Which format a calibration is in: from the content, and from the name only where the content cannot tell."""

import pytest

from coview.formats.calibration.registry import FORMATS, format_of


def test_twelve_formats_with_their_own_keys():
    assert len({form.key for form in FORMATS}) == len(FORMATS) == 12


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("a.toml", "", "anipose"),
        ("a.dat", "[a]\nmatrix = [[1]]\n", "anipose"),
        ("a.toml", "[cameras.0]\nmatrix = []\n", "caliscope"),
        ("a.xml", "<?xml version='1.0'?>\n<calibration/>", "qualisys"),
        ("a.xml", "<Cameras/>", "vicon"),
        ("a.yml", "%YAML:1.0\n---\nK_1: x\n", "easymocap"),
        ("a.yml", "%YAML:1.0\n---\ncamera_matrix: x\n", "opencv"),
        ("00", "1920\n1080\n1 0 0\n", "biocv"),
        ("a.json", "{}", "panoptic"),
        ("a.json", '{"0": {"R": 0, "T": 0, "fx": 0, "fy": 0, "cx": 0, "cy": 0}}', "voxelpose"),
        ("a.json", '{"0": {"K": 0, "RT": 0}, "1": {"K": 0, "RT": 0, "imgSize": 0}}', "4d_association"),
        ("a.pickle", "", "opencap"),
    ],
)
def test_recognised(tmp_path, name, text, key):
    (tmp_path / name).write_text(text)
    assert format_of(tmp_path / name).key == key


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.toml"):
        format_of(tmp_path / "nowhere.toml")


def test_something_else(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(
        ValueError, match=r"is no calibration that coview knows\. Understood are COLMAP model, Qualisys"
    ):
        format_of(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"no calibration that coview knows\. It holds: a.txt\. Understood"):
        format_of(tmp_path)
