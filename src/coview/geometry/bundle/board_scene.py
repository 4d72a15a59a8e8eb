"""Observations and unknowns of a rigid calibration board: cameras, board poses, clocks, and steps of them."""

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
    """Observed board corners: one row per camera and instant."""

    view: Int[Tensor, "sightings"]
    instant: Int[Tensor, "sightings"]
    # raw (distorted); may be anything where weight is 0
    pixels: Float[Tensor, "sightings corners 2"]
    # multiply the residual; 0 where not seen
    weights: Float[Tensor, "sightings corners"]

    def __len__(self) -> int:
        return len(self.view)

    def where(self, chosen: Bool[Tensor, "sightings"]) -> "BoardObservations":
        """Some of the rows.

        Args:
            chosen: which, (sightings)."""
        return BoardObservations(
            self.view[chosen], self.instant[chosen], self.pixels[chosen], self.weights[chosen]
        )


@dataclass(frozen=True)
class BoardScene:
    """What the adjustment changes: cameras, board poses and clocks."""

    # batch: views
    cameras: Cameras
    # world from board, metres
    boards: Float[Tensor, "instants 3 4"]
    # seconds: a camera's frame of instant t shows the world at t + clock
    clocks: Float[Tensor, "views"]

    def moved(
        self, cameras: Float[Tensor, "views 16"], boards: Float[Tensor, "instants 6"] | None = None
    ) -> "BoardScene":
        """The scene after a step.

        Args:
            cameras: change of each camera's columns, (views, 16).
            boards: rotation vector (board's axes, rad) and translation (m, world frame), (instants, 6); None:
                unchanged."""
        return BoardScene(
            _moved_cameras(self.cameras, cameras),
            self.boards if boards is None else moved_boards(self.boards, boards),
            self.clocks + cameras[:, _CLOCK],
        )


@dataclass(frozen=True)
class BoardUnknowns:
    """Which camera columns are free, and the Gaussian prior on them."""

    free: Bool[Tensor, "views 16"]
    # mean of each column of LENS and of the clock; focal: log pixels
    prior_mean: Float[Tensor, "views 16"]
    # standard deviation; infinite: no prior
    prior_sigma: Float[Tensor, "views 16"]


def board_rates(
    boards: Float[Tensor, "instants 3 4"], times: Float[Tensor, "instants"], longest: float
) -> Float[Tensor, "instants 6"]:
    """Angular velocity (about the board's own axes, rad/s) and velocity (m/s) at every instant, from its neighbours.

    Args:
        boards: world-from-board, metres, (instants, 3, 4).
        times: seconds, ascending, (instants); NaN times never have neighbours.
        longest: seconds, the longest gap to a neighbour.

    Returns:
        (instants, 6); 0 for an instant without a neighbour."""
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
    """Values of all camera columns, to compare with their prior means; 0 for those of the poses.

    Args:
        scene: cameras and clocks.

    Returns:
        In the order of `COLUMNS`, (views, 16)."""
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
    """Boards rotated about their own axes and translated.

    Args:
        boards: world-from-board, metres, (boards, 3, 4).
        step: rotation vector (rad) and translation (m, world frame), (boards, 6)."""
    rotation = boards[..., :3] @ rotation_from_axis_angle(step[:, :3])
    return torch.cat([rotation, boards[..., 3:] + step[:, 3:, None]], dim=-1)
