"""CSV: for people first, and back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.motion.csv import read_csv, write_csv
from coview.formats.motion.poses3d import Poses3D
from coview.skeletons import H36M_17


def poses(seed=0, frames=3, covariance=True) -> Poses3D:
    random = torch.Generator().manual_seed(seed)
    points = torch.randn(frames, 17, 3, generator=random)
    sigma = torch.rand(frames, 17, 3, generator=random) * 0.05
    gap = torch.rand(frames, 17, generator=random) < 0.3
    points[gap], sigma[gap] = torch.nan, torch.nan
    return Poses3D(
        points, torch.diag_embed(sigma.square()) if covariance else None, None, None, 29.97, H36M_17
    )


@given(st.integers(0, 2**31), st.integers(1, 5), st.booleans())
@settings(deadline=None, max_examples=20)
def test_round_trip(tmp_path_factory, seed, frames, covariance):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    given = poses(seed, frames, covariance)
    write_csv(given, path)
    found = read_csv(path)
    torch.testing.assert_close(found.points, given.points, atol=1e-6, rtol=0, equal_nan=True)
    assert (found.fps, found.skeleton) == (29.97, H36M_17)
    if covariance:
        torch.testing.assert_close(found.sigma, given.sigma, atol=1e-6, rtol=0, equal_nan=True)
    else:
        assert found.covariance is None


def test_the_text(tmp_path):
    points = torch.full((1, 17, 3), torch.nan)
    points[0, 0] = torch.tensor([1.0, 2.0, 3.0])
    write_csv(Poses3D(points, None, None, None, 50.0, H36M_17), tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("# coview 3D joints; units: m; axes: right-handed world, z up")
    assert lines[1] == "# fps: 50; skeleton: h36m_17"
    assert lines[2].startswith("frame,time_s,pelvis_x_m,pelvis_y_m,pelvis_z_m,right_hip_x_m")
    assert lines[3] == "0,0.000000,1.000000,2.000000,3.000000" + "," * 48


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frame,time_s", "a,b", "is not a CSV file of coview"),
        ("# fps: 29.97", "# rate: 29.97", "the line '# fps: …' is missing"),
        ("\n0,0.0", "\n0,0,0.0", r"a.csv, line 4: 54 cells, and the header has 53"),
        (",", ",x", "a.csv, line 4: could not convert"),
    ],
)
def test_messages(tmp_path, old, new, message):
    path = tmp_path / "a.csv"
    write_csv(poses(covariance=False), path)
    text = path.read_text()
    head, _, body = text.partition("\n0,")
    changed = head + "\n0," + body.replace(old, new, 1) if old == "," else text.replace(old, new, 1)
    path.write_text(changed)
    with pytest.raises(ValueError, match=message):
        read_csv(path)
