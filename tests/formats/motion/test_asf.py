import math

import pytest
import torch

from coview.formats.motion.asf import read_asf

ARM = """# a comment
:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   anything
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 0 3 0
     length 2
     axis 0 0 90 XYZ
     dof rx rz
     limits (-160.0 20.0)
            (-70.0 70.0)
  end
  begin
     id 2
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


def written(tmp_path, text: str):
    path = tmp_path / "a.asf"
    path.write_text(text)
    return path


def test_what_the_file_says(tmp_path):
    asf = read_asf(written(tmp_path, ARM))
    assert (asf.bones, asf.parents) == (("root", "upper", "lower"), (-1, 0, 1))
    assert asf.offsets.tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 1]]  # the direction needs no unit length
    assert asf.channels == (("tx", "ty", "tz", "rx", "ry", "rz"), ("rx", "rz"), ())
    assert asf.metres_per_unit == pytest.approx(0.0254 / 0.45)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(asf.axes[1], quarter, atol=1e-12, rtol=0)


def test_own_axes_turn_about_x_first_and_may_be_in_radians(tmp_path):
    # 90° about x, then 90° about y: z to -y, which stays; y to z to x
    text = ARM.replace("axis 0 0 90 XYZ", f"axis {math.pi / 2} {math.pi / 2} 0 XYZ").replace(
        "angle deg", "angle rad"
    )
    asf = read_asf(written(tmp_path, text))
    expected = torch.tensor([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(asf.axes[1], expected, atol=1e-12, rtol=0)


def test_skeletons_of_cmu(shared_data):
    asf = read_asf(shared_data / "mocap_cmu" / "raw_samples" / "02.asf")
    assert len(asf.bones) == 31
    assert float(asf.offsets[asf.index("thorax")].norm()) * asf.metres_per_unit == pytest.approx(
        0.1167, abs=1e-4
    )


BROKEN = {
    "no hierarchy": (":hierarchy", ":tree", r"a\.asf is not a whole ASF file: no section :hierarchy"),
    "no length": ("     length 2\n", "", "line 23: the bone that ends here has no length"),
    "no direction": ("direction 0 3 0", "direction 0 0 0", "line 18: a direction of zero length"),
    "NaN": ("direction 0 3 0", "direction 0 nan 0", "line 18: direction should be 3 finite numbers"),
    "text": ("length 2", "length two", "line 19: length: could not convert string to float: 'two'"),
    "an unknown bone": (
        "upper lower\n",
        "upper hand\n",
        r"every bone must be in :bonedata.*unknown: \['hand'\]",
    ),
    "a child first": (
        "    root upper\n",
        "",
        "line 34: 'upper lower': every bone must be in :bonedata, come after",
    ),
    "a bone that stretches": ("dof rx rz", "dof rx l", "line 21: degrees of freedom 'rx l'; only rx, ry, rz"),
    "a strange order": ("90 XYZ", "90 XYX", "line 20: order of axes 'XYX'"),
    "a root without its order": ("order TX TY TZ RX RY RZ", "order TX", "the root's order is 'TX'"),
    "no unit": ("length 0.45", "length 0", "`length 0` of :units must be positive"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files_say_where_and_what_to_do(tmp_path, fault):
    old, new, message = BROKEN[fault]
    assert old in ARM
    with pytest.raises(ValueError, match=message):
        read_asf(written(tmp_path, ARM.replace(old, new, 1)))


def test_an_unknown_bone_names_those_there_are(tmp_path):
    with pytest.raises(LookupError, match=r"has no bone 'tail'\. It has: root, upper, lower"):
        read_asf(written(tmp_path, ARM)).index("tail")
