import torch

from coview.data.rendering.appearance import clothes, random_cloth, studio, tiles
from coview.data.rendering.capsule_body import GARMENTS
from coview.data.rendering.textures import KINDS
from coview.data.synthetic.recordings import ring_cameras


def test_colours_and_patterns_keep_their_bounds():
    outfit = clothes(300, torch.Generator().manual_seed(0))
    assert outfit.colours.min() >= 0
    assert outfit.colours.max() <= 1
    kinds = outfit.pattern[..., 0]
    assert set(kinds.unique().tolist()) == set(range(len(KINDS)))
    assert 0.3 < (kinds[:, GARMENTS.index("shirt")] == 0).float().mean() < 0.5


def test_a_sleeve_is_of_the_shirts_cloth_and_bare_below_when_short():
    outfit = clothes(300, torch.Generator().manual_seed(0))
    shirt, upper, lower = (GARMENTS.index(name) for name in ("shirt", "sleeve_upper", "sleeve_lower"))
    assert (outfit.colours[:, shirt] == outfit.colours[:, upper]).all()
    short = outfit.pattern[:, upper, 3] <= 1
    assert 0.3 < short.float().mean() < 0.7
    assert (outfit.pattern[short, lower, 3] < 0).all()
    assert (outfit.pattern[~short, lower, 3] > 0.8).all()


def test_views_of_a_person_share_light_and_floor_but_no_wall():
    cameras = ring_cameras(4)[torch.arange(4).repeat(3)]
    person = torch.arange(3).repeat_interleave(4)
    made = tiles(cameras, person, torch.zeros(12, 2), torch.Generator().manual_seed(0))
    assert (made.light.unflatten(0, (3, 4)) == made.light[::4, None]).all()
    assert (made.floor.unflatten(0, (3, 4)) == made.floor[::4, None]).all()
    assert len(made.seed.unique()) == 12
    assert (made.wall[0] != made.wall[1]).any()
    torch.testing.assert_close(made.light[:, :3].norm(dim=-1), torch.ones(12))


def test_things_have_cloth_all_over():
    colours, pattern = random_cloth((5,), torch.Generator().manual_seed(0))
    assert colours.shape == (5, 3, 3)
    assert (pattern[:, 3] > 1).all()


def test_a_studio_is_the_same_for_everybody_but_for_noise_and_shadow():
    ground = torch.rand(8, 2, generator=torch.Generator().manual_seed(1))
    made = studio(ring_cameras(8), ground, torch.Generator().manual_seed(0))
    assert torch.equal(made.shadow, ground)
    assert len(made.seed.unique()) == 8
    for part in (made.light, made.tone, made.wall, made.floor, made.slope, made.optics, made.tint):
        assert (part == part[:1]).all()
    assert (made.optics[:, 0] == 0).all()  # sharp
