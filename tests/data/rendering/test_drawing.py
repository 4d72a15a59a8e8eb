from dataclasses import replace

import torch

from coview.data.rendering import appearance, drawing
from coview.data.rendering.appearance import Clothes
from coview.data.rendering.capsule_body import GARMENTS
from coview.data.rendering.drawing import pictures
from coview.data.rendering.occluders import propose
from coview.data.rendering.renderer import Tiles
from coview.data.rendering.scenes import generated_people
from coview.data.synthetic.recordings import ring_cameras
from coview.skeletons import H36M_17


def test_every_joint_lies_on_the_figure(egl, monkeypatch):
    """White people before black: the pixel of each joint is bright."""
    people = generated_people(12, 4, seed=5)
    cameras = ring_cameras(4, radius=4.5, height=1.2, size=(160, 160), focal=250.0)
    flat = cameras[torch.arange(4).repeat(12)]

    def black(*given: object) -> Tiles:
        real = surroundings(*given)
        none = torch.zeros_like(real.wall)
        return replace(
            real,
            wall=none,
            floor=none - torch.tensor([0.0, 0.0, 0.0, 1.0]),
            light=torch.tensor([0.0, 0, 1, 1]).expand_as(real.light),
            tone=torch.ones_like(real.tone),
            optics=torch.zeros_like(real.optics),
            tint=torch.ones_like(real.tint),
        )

    def white(count: int, generator: torch.Generator) -> Clothes:
        pattern = torch.tensor([0.0, 1.0, 0.0, 9.0]).expand(count, len(GARMENTS), 4)
        return Clothes(torch.ones(count, len(GARMENTS), 3, 3), pattern)

    surroundings = appearance.tiles
    monkeypatch.setattr(appearance, "tiles", black)
    monkeypatch.setattr(appearance, "clothes", white)
    monkeypatch.setattr(
        appearance, "random_cloth", lambda things, g: (torch.zeros(*things, 3, 3), torch.zeros(*things, 4))
    )
    generator = torch.Generator().manual_seed(0)
    joints3d = people.joints3d.repeat_interleave(4, dim=0)
    things = propose(flat, joints3d, 0, generator)
    images = pictures((160, 160), people, flat, things, torch.zeros(48, dtype=torch.bool), generator)
    at = flat.project(joints3d).round().long()
    assert ((at >= 0) & (at < 160)).all()
    picture, column, row = torch.arange(48)[:, None], at[..., 0], at[..., 1]
    bright = images.amax(dim=1).float()
    near = torch.nn.functional.max_pool2d(bright, 5, stride=1, padding=2)
    for number, name in enumerate(H36M_17.joints):
        # nose and crown are at the very edge of the head
        seen = (near if name in ("nose", "head_top") else bright)[picture, row, column][:, number] > 100
        assert seen.float().mean() > 0.99, name


def test_pictures_of_many_scenes_keep_their_order(egl):
    """More pictures than an atlas holds: each scene drawn alone shows the person where it did among others."""
    people = generated_people(40, 4, seed=2)
    cameras = ring_cameras(2, radius=5.0, size=(256, 256), focal=500.0)
    none = torch.zeros(80, dtype=torch.bool)
    assert drawing.renderer((256, 256)).capacity < 80
    made = []
    for scale in (1.0, 1.0):
        generator = torch.Generator().manual_seed(1)
        flat = cameras[torch.arange(2).repeat(40)]
        things = propose(flat, people.joints3d.repeat_interleave(2, dim=0) * scale, 0, generator)
        made.append(pictures((256, 256), people, flat, things, none, generator))
    assert made[0].shape == (80, 3, 256, 256)
    assert (made[0] == made[1]).all()
    assert (made[0][:40] != made[0][40:]).flatten(1).any(dim=1).all()
