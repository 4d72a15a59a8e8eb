import torch

from coview.data.mocap import Clip, read_clips
from coview.data.mocap4 import EVERY, REACH, Mocap4Config, centred
from coview.data.synthetic import EXACT
from coview.geometry.triangulation import triangulate
from coview.skeletons import H36M_17, MOCAP_19


def clip(frames: int = 60) -> Clip:
    generator = torch.Generator().manual_seed(0)
    walk = torch.linspace(-4, 4, frames)[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
    return Clip("walk", "s", walk + torch.randn(frames, 19, 3, generator=generator) / 5 + 1, 60.0)


def test_every_sixth_pose_is_kept_within_reach_as_it_is():
    before, after = clip().points[::EVERY, :17], centred(clip())
    distance = after[:, 0, :2].norm(dim=-1)
    assert distance.max() <= REACH + 1e-5
    assert len(after) == 10
    torch.testing.assert_close(after - after[:, :1], before - before[:, :1])  # no pose is changed
    torch.testing.assert_close(after[..., 2], before[..., 2])  # no height either


def test_seventeen_joints_in_h36m_order():
    ours = {"neck": "nose"}
    assert [ours.get(j, j) for j in MOCAP_19.joints[:17]] == list(H36M_17.joints)


def test_the_benchmark_is_what_the_design_says(shared_data):
    folder = shared_data / "mocap_cmu"
    data = Mocap4Config(folder=folder, noise=EXACT)
    train, test = data.train(), data.validation()
    assert (len(train), len(test)) == (11691, 782)
    expected = sum(len(c.points[::EVERY]) for c in read_clips(folder, "test"))
    assert len(test) == expected
    assert train.fields == data.provides
    cameras = data.cameras()
    torch.testing.assert_close(cameras.centres[:, 2], torch.full((4,), 1.5))
    torch.testing.assert_close(cameras.centres[:, :2].norm(dim=-1), torch.full((4,), 5.0))
    assert cameras.focal.unique().tolist() == [1145.0]
    batch = test.instants
    points = triangulate(batch.joints2d.nan_to_num(0.0), batch.cameras.pixels_from_world, batch.confidence)
    assert (points - batch.joints3d).norm(dim=-1).max() < 2e-3


def test_training_never_sees_the_other_rings(shared_data):
    folder = shared_data / "mocap_cmu"
    near = Mocap4Config(folder=folder, ring="near", noise=EXACT)
    torch.testing.assert_close(near.validation().instants.cameras.centres[0, :, 2], torch.full((4,), 2.6))
    torch.testing.assert_close(near.train().instants.cameras.centres[0, :, 2], torch.full((4,), 1.5))


def test_the_detector_errs_with_its_seed_and_not_alike_in_training_and_test(shared_data):
    folder = shared_data / "mocap_cmu"
    first, same, other = (Mocap4Config(folder=folder, seed=s).validation() for s in (0, 0, 1))
    assert torch.equal(first.instants.confidence, same.instants.confidence)
    assert not torch.equal(first.instants.confidence, other.instants.confidence)
    assert 0.01 < (first.instants.confidence == 0).float().mean() < 0.04
