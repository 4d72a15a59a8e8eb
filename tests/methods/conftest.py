"""Images without a renderer: every joint of a generated person is a dot of its own colour."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from coview.body.procedural_motion import random_motion
from coview.data.synthetic.recordings import ring_cameras
from coview.methods.shared.base import MethodConfig
from coview.metrics.joint_error import n_joint_error
from coview.networks.backbone import Maps
from coview.representations.canonical_pose import canonical_pose
from coview.sample import MultiView
from coview.skeletons import H36M_17


def dots(instants: int, views: int = 4, size: int = 32, seed: int = 0) -> MultiView:
    """People in a ring of cameras that each show the whole of them on `size` × `size` pixels."""
    joints3d = random_motion(instants, fps=2.0, seed=seed)
    cameras = ring_cameras(views, focal=1.6 * size, size=(size, size))
    joints2d = cameras.project(joints3d[:, None])
    inside = ((joints2d > -0.5) & (joints2d < size - 0.5)).all(dim=-1)
    colours = torch.rand(17, 3, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(float(size))
    across, down = ((rows - joints2d[..., axis, None]).square().neg().div(2).exp() for axis in (0, 1))
    images = torch.einsum("nvjy,nvjx,jc->nvcyx", down, across, colours).clamp(0, 1)
    return MultiView(
        H36M_17,
        images=images,
        cameras=cameras.expand(instants, views),
        joints2d=joints2d,
        confidence=inside.float(),
        image_size=cameras.size.expand(instants, views, 2),
        joints3d=joints3d,
        base_point=joints3d[:, 0],
    )


def some_views(batch: MultiView, views: list[int]) -> MultiView:
    """What some of the cameras see; a view may be taken twice."""
    seen = {name: getattr(batch, name)[:, views] for name in ("images", "cameras", "joints2d", "confidence")}
    return batch.replaced(**seen, image_size=batch.image_size[:, views])


@pytest.fixture(scope="session")
def of_views():
    return some_views


@pytest.fixture(scope="session")
def dotted():
    return dots


class Glimpse(nn.Module):
    """A backbone of two convolutions, for tests that learn: a step takes milliseconds."""

    def __init__(self, joints: int = 17, channels: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 5, 2, 2), nn.ReLU(), nn.Conv2d(channels, channels, 5, 2, 2), nn.ReLU()
        )
        self.final_layer = nn.Conv2d(channels, joints, 1)
        self.trust = nn.Conv2d(channels, joints, 1)

    def forward(self, images: torch.Tensor) -> Maps:
        features = self.layers(images)
        trust = self.trust(features).mean(dim=(-2, -1)).sigmoid()
        return Maps(self.final_layer(features), features, trust, None)


@pytest.fixture(scope="session")
def glimpse():
    return Glimpse


def canonical_error(
    config: MethodConfig, shown: MultiView, draws: Callable[[int], Tensor], test: MultiView, steps: int
) -> float:
    """N-MPJPE in mm of canonical poses after a short training."""
    torch.manual_seed(0)
    method = config.build(H36M_17)
    method.fit_statistics([shown])
    optimiser = torch.optim.Adam(method.parameters())
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1.5e-3 * (1 + math.cos(math.pi * step / steps))
        method.progress = step / steps
        batch = shown[draws(step)]
        loss = sum(method.losses(method(batch), batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        found = method.eval()(test).joints3d
    truth = canonical_pose(test.joints3d, H36M_17)[:, None].expand_as(found)
    return float(n_joint_error(found, truth, H36M_17.root_index).nanmean())


@pytest.fixture(scope="session")
def learnt_canonical():
    return canonical_error
