"""A rigid board before cameras: who saw it when, where it and they are, and how a step moves them."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.rotations import axis_angle_from_rotation, rotation_from_axis_angle

LENS = ("focal", "aspect", "cx", "cy", "k1", "k2", "p1", "p2", "k3")  # the unknowns of a lens
COLUMNS = 16  # per camera: rotation vector (left, rad), translation (m), LENS, clock (s)
_CLOCK = 15


@dataclass(frozen=True)
class BoardObservations:
    """Who saw the board when: one row per camera and instant."""

    view: Int[Tensor, "sightings"]
    instant: Int[Tensor, "sightings"]
    pixels: Float[Tensor, "sightings corners 2"]  # raw (distorted); may be anything where weight is 0
    weights: Float[Tensor, "sightings corners"]  # multiply the residual; 0 where not seen

    def __len__(self) -> int:
        return len(self.view)

    def where(self, chosen: Bool[Tensor, "sightings"]) -> "BoardObservations":
        """Some of them."""
        return BoardObservations(
            self.view[chosen], self.instant[chosen], self.pixels[chosen], self.weights[chosen]
        )


@dataclass(frozen=True)
class BoardScene:
    """What the adjustment changes."""

    cameras: Cameras  # batch: views
    boards: Float[Tensor, "instants 3 4"]  # world from board, metres
    clocks: Float[Tensor, "views"]  # seconds: a camera's frame of instant t shows the world at t + clock

    def moved(
        self, cameras: Float[Tensor, "views 16"], boards: Float[Tensor, "instants 6"] | None = None
    ) -> "BoardScene":
        """One step on."""
        return BoardScene(
            _moved_cameras(self.cameras, cameras),
            self.boards if boards is None else moved_boards(self.boards, boards),
            self.clocks + cameras[:, _CLOCK],
        )


@dataclass(frozen=True)
class BoardUnknowns:
    """What is to be found, and what is usual for what the sightings say little about."""

    free: Bool[Tensor, "views 16"]
    prior_mean: Float[Tensor, "views 16"]  # columns of LENS and clock as they usually are; focal: log pixels
    prior_sigma: Float[Tensor, "views 16"]  # how far they usually stray; infinite: anything goes


def board_rates(
    boards: Float[Tensor, "instants 3 4"], times: Float[Tensor, "instants"], longest: float
) -> Float[Tensor, "instants 6"]:
    """How the board turned (about its own axes, rad/s) and moved (m/s) at every instant, from its neighbours.

    `times` in seconds, ascending; neighbours farther than `longest` seconds say nothing, and an instant
    without a neighbour has the rate 0. NaN times never have neighbours."""
    gap = times.diff()
    near = (gap > 0) & (gap <= longest)
    step = torch.cat([times.new_zeros(1), torch.where(near, gap, 0.0), times.new_zeros(1)])
    index = torch.arange(len(times))
    before, after = index - (step[:-1] > 0).long(), index + (step[1:] > 0).long()
    rotation = axis_angle_from_rotation(boards[before, :, :3].mT @ boards[after, :, :3])
    shift = boards[after, :, 3] - boards[before, :, 3]
    span = step[:-1] + step[1:]
    return torch.cat([rotation, shift], -1) / torch.where(span > 0, span, torch.inf)[:, None]


def columns(scene: BoardScene) -> Float[Tensor, "views 16"]:
    """Those that a usual value is compared with; poses count from where they are."""
    cameras = scene.cameras
    focal = cameras.focal.log()
    lens = [focal[:, 0], focal[:, 1] - focal[:, 0], *cameras.principal_point.unbind(-1)]
    return torch.cat(
        [
            cameras.focal.new_zeros(len(cameras), 6),
            torch.stack(lens, -1),
            cameras.distortion[:, :5],
            scene.clocks[:, None],
        ],
        dim=1,
    )


def _moved_cameras(cameras: Cameras, step: Float[Tensor, "views 16"]) -> Cameras:
    rotation = rotation_from_axis_angle(step[:, :3]) @ cameras.rotation
    pose = torch.cat([rotation, (cameras.translation + step[:, 3:6])[..., None]], dim=-1)
    lens = cameras.intrinsics.clone()
    lens[:, :2, :2] *= step[:, 6, None, None].exp()
    lens[:, 1, 1] *= step[:, 7].exp()
    lens[:, :2, 2] += step[:, 8:10]
    distortion = cameras.distortion.clone()
    distortion[:, :5] += step[:, 10:15]
    return replace(cameras, cam_from_world=pose, intrinsics=lens, distortion=distortion)


def moved_boards(
    boards: Float[Tensor, "boards 3 4"], step: Float[Tensor, "boards 6"]
) -> Float[Tensor, "boards 3 4"]:
    """Boards turned about their own axes (rad) and moved (m, world frame)."""
    rotation = boards[..., :3] @ rotation_from_axis_angle(step[:, :3])
    return torch.cat([rotation, boards[..., 3:] + step[:, 3:, None]], dim=-1)
