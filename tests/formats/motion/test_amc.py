"""AMC: places by hand, agreement with a preparation made by others, and what is wrong with broken files."""

import pytest
import torch

from coview.formats.motion.amc import joint_positions, read_amc
from coview.formats.motion.asf import read_asf

ASF = """:units
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   orientation 0 0 0
:bonedata
  begin
     name upper
     direction 0 1 0
     length 2
     axis 0 0 90 XYZ
     dof rx ry
  end
  begin
     name lower
     direction 0 0 1
     length 1
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
AMC = """#!OML:ASF somewhere
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
upper 0 0
2
root 0 0 0 0 0 90
upper 0 0
3
root 0 0 0 0 0 0
upper 90 90
"""


def read(tmp_path, amc: str = AMC, asf: str = ASF):
    (tmp_path / "a.asf").write_text(asf)
    (tmp_path / "a.amc").write_text(amc)
    return read_amc(tmp_path / "a.amc", read_asf(tmp_path / "a.asf"))


def test_places_by_hand(tmp_path):
    points = joint_positions(read(tmp_path))
    assert points[0].tolist() == [[1, 2, 3], [1, 4, 3], [1, 4, 4]]
    turned = torch.tensor([[0.0, 0, 0], [-2, 0, 0], [-2, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(points[1], turned, atol=1e-12, rtol=0)
    # own axes: x is the world's y, y the world's -x. First 90° about the world's y, then 90° about the world's -x:
    # (0,2,0) stays, then goes to (0,0,-2); (0,0,1) goes to (1,0,0), which stays
    bent = torch.tensor([[0.0, 0, 0], [0, 0, -2], [1, 0, -2]], dtype=torch.float64)
    torch.testing.assert_close(points[2], bent, atol=1e-12, rtol=0)


def test_radians_mean_the_same(tmp_path):
    quarter = "1.5707963267948966"
    text = AMC.replace(":DEGREES", ":RADIANS").replace("90", quarter)
    torch.testing.assert_close(
        joint_positions(read(tmp_path, text)), joint_positions(read(tmp_path)), atol=1e-12, rtol=0
    )


def test_the_root_lists_its_numbers_in_its_own_order(tmp_path):
    asf = ASF.replace("order TX TY TZ RX RY RZ", "order RX RY RZ TX TY TZ")
    amc = AMC.replace("root 1 2 3 0 0 0", "root 0 0 0 1 2 3").replace(
        "root 0 0 0 0 0 90", "root 0 0 90 0 0 0"
    )
    torch.testing.assert_close(joint_positions(read(tmp_path, amc, asf)), joint_positions(read(tmp_path)))


BROKEN = {
    "empty": (AMC, ":DEGREES\n", r"a\.amc holds no frame: a frame begins with a line that is its number"),
    "a frame lost": ("\n2\n", "\n3\n", "line 7: frame 3 follows frame 1; frames between were lost"),
    "cut short": (
        "root 0 0 0 0 0 0\nupper 90 90\n",
        "root 0 0",
        "line 11: bone 'root' has 6 numbers by a.asf, and",
    ),
    "a bone lost": (
        "upper 90 90\n",
        "",
        "frame 3 lacks 1 bones: upper. The file was cut short, or the .asf is of",
    ),
    "another subject's": (
        "upper 0 0",
        "tail 0 0",
        "line 6: 'tail' is no moving bone of a.asf. Use the .asf of the",
    ),
    "NaN": ("upper 90 90", "upper nan 90", "line 12: bone 'upper' has an angle that is NaN or infinite"),
    "text": ("upper 90 90", "upper x 90", "line 12: could not convert string to float: 'x'"),
    "no number first": ("\n1\n", "\n", "line 4: 'root' before the number of a first frame"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files_say_where_and_what_to_do(tmp_path, fault):
    old, new, message = BROKEN[fault]
    assert old in AMC
    with pytest.raises(ValueError, match=message):
        read(tmp_path, AMC.replace(old, new, 1))
