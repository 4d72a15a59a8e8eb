import pytest
import torch

from coview.data.synthetic.resting_people import resting_motion
from coview.skeletons import H36M_17


@pytest.mark.parametrize(
    ("how", "least", "most"), [("talk", 0.2, 3.0), ("sit", 0.1, 2.0), ("still", 0.0, 0.3)]
)
def test_nobody_goes_anywhere(how, least, most):
    motion = resting_motion(200, fps=25.0, seed=3, how=how)
    pelvis = motion[:, H36M_17.index("pelvis")]
    assert float((pelvis - pelvis.mean(dim=0)).norm(dim=-1).max()) < 0.25
    wrists = motion[:, H36M_17.index("left_wrist")].diff(dim=0).norm(dim=-1) * 25
    assert least < float(wrists.mean()) < most
    assert torch.equal(motion, resting_motion(200, fps=25.0, seed=3, how=how))


def test_who_sits_is_lower():
    sitting, standing = (resting_motion(20, seed=1, how=how)[..., 2].amax() for how in ("sit", "still"))
    assert float(sitting) < float(standing) - 0.3
