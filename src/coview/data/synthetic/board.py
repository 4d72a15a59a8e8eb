"""Synthetic recordings of a moving calibration board: cameras with distortion and time offsets, pixels, and the
truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.formats.calibration.board import Board
from coview.geometry.bundle.board_scene import BoardObservations, BoardScene
from coview.geometry.rotations import rotation_from_axis_angle

BOARD = Board("charuco", 6, 5, 0.05, 0.0375, "DICT_4X4_50")
# width and height of the images, pixels
SIZE = (1280, 720)
# seconds between frames
PERIOD = 0.1
# azimuths of the cameras around the board, radians
_ANGLES = (0.0, 0.5, -0.6, 0.9)
_FOCALS = (900.0, 760.0, 650.0, 700.0)
_CENTRES = ((630.0, 371.0), (655.0, 350.0), (640.0, 365.0), (645.0, 355.0))
_LENS = (-0.25, 0.08, 0.001, -0.001, 0.0)
# centre of the motion, metres in the frame of the first camera
_MIDDLE = (0.0, 0.0, 1.2)
# amplitudes of translation (metres) and rotation (radians)
_REACH, _TILT = 0.15, 0.6


@dataclass(frozen=True)
class WavedBoard:
    """A synthetic recording of a board. The world is the frame of the first camera."""

    # the truth
    scene: BoardScene
    # detected corners
    seen: BoardObservations
    # seconds, of the first camera's frames
    times: Float[Tensor, "instants"]


def waved_board(
    instants: int = 40,
    *,
    clocks: Sequence[float] = (0.0, 0.0, 0.0),
    noise: float = 0.0,
    tilt: float = _TILT,
    seed: int = 0,
) -> WavedBoard:
    """A board that moves in front of up to four cameras.

    Args:
        instants: number of frames per camera.
        clocks: time offset of each camera in seconds, the first 0; their number is that of the cameras.
        noise: standard deviation of the pixels.
        tilt: amplitude of the board's rotation, radians.
        seed: of the noise."""
    random = torch.Generator().manual_seed(seed)
    cameras = _cameras(len(clocks))
    times = PERIOD * torch.arange(instants, dtype=torch.float64)
    view = torch.arange(len(clocks)).repeat_interleave(instants)
    instant = torch.arange(instants).repeat(len(clocks))
    time_offsets = torch.tensor(clocks, dtype=torch.float64)
    shown = _board_at(times[instant] + time_offsets[view], tilt)
    points = BOARD.corners @ shown[..., :3].mT + shown[:, None, :, 3]
    pixels = cameras[view].project(points)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=random, dtype=torch.float64)
    scene = BoardScene(cameras, _board_at(times, tilt), time_offsets)
    return WavedBoard(scene, BoardObservations(view, instant, pixels, torch.ones_like(pixels[..., 0])), times)


def _cameras(count: int) -> Cameras:
    angles = torch.tensor(_ANGLES[:count], dtype=torch.float64)
    middle = torch.tensor(_MIDDLE, dtype=torch.float64)
    rotation = rotation_from_axis_angle(torch.stack([torch.zeros_like(angles), angles, 0.1 * angles], -1))
    pose = torch.cat([rotation, (middle - rotation @ middle)[..., None]], dim=-1)
    intrinsics = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = torch.tensor(_FOCALS[:count])
    intrinsics[:, :2, 2] = torch.tensor(_CENTRES[:count])
    size = torch.tensor(SIZE, dtype=torch.float64).expand(count, 2).clone()
    return Cameras.make(intrinsics, pose, size, torch.tensor(_LENS, dtype=torch.float64).repeat(count, 1))


def _board_at(times: Float[Tensor, "times"], tilt: float) -> Float[Tensor, "times 3 4"]:
    """World-from-board: it translates and rotates about the middle."""
    phase = times[:, None] * torch.tensor([1.1, 0.9, 1.3]).double() + torch.tensor([0.0, 1.0, 2.0]).double()
    rotation = rotation_from_axis_angle(tilt * (0.7 * phase + 0.5).cos())
    middle = torch.tensor(_MIDDLE, dtype=torch.float64) + _REACH * phase.sin()
    shift = middle - rotation @ BOARD.corners.mean(dim=0)
    return torch.cat([rotation, shift[..., None]], dim=-1)
