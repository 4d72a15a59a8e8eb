import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.epipolar.fundamental_ransac import robust_fundamental
from coview.geometry.epipolar.relative_pose import fundamental_from_projections, sampson_distance


def two_views(wrong: float, noise: float = 1.0):
    generator = torch.Generator().manual_seed(0)
    cameras = ring_cameras(3).to(torch.float64)[:2]
    world = torch.randn(300, 3, generator=generator).double() * 0.7 + torch.tensor([0.0, 0.0, 1.0])
    a, b = cameras.project(world.expand(2, -1, -1)).unbind(0)
    a, b = (each + noise * torch.randn(each.shape, generator=generator) for each in (a, b))
    count = int(wrong * len(b))
    b[:count] = 1000 * torch.rand(count, 2, generator=generator).double()
    return a, b, fundamental_from_projections(*cameras.pixels_from_world), count


def test_one_pair_in_four_may_be_wrong():
    a, b, true, wrong = two_views(0.25)
    found = robust_fundamental(a, b, torch.ones(300).double(), threshold=4.0)
    assert found is not None
    exact = two_views(0.25, noise=0.0)
    assert float(sampson_distance(found, exact[0][wrong:], exact[1][wrong:]).median()) < 0.5
    assert float(sampson_distance(true, exact[0][wrong:], exact[1][wrong:]).max()) < 1e-6


def test_pairs_without_weight_or_place_are_left_out():
    a, b, _, _ = two_views(0.0)
    weights = torch.ones(300).double()
    weights[:100] = 0.0
    a[:100] = 0.0
    a[100] = torch.nan
    found = robust_fundamental(a, b, weights, threshold=4.0)
    assert found is not None
    assert float(sampson_distance(found, a[101:], b[101:]).median()) < 2.0


def test_too_few_pairs_give_nothing():
    a, b, _, _ = two_views(0.0)
    assert robust_fundamental(a[:15], b[:15], torch.ones(15).double(), threshold=4.0) is None


def test_the_same_seed_gives_the_same_matrix():
    a, b, _, _ = two_views(0.25)
    one, other = (robust_fundamental(a, b, torch.ones(300).double(), threshold=4.0, seed=3) for _ in range(2))
    assert torch.equal(one, other)
