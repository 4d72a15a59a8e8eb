"""A person who walks through a room of cameras, and what a detector makes of it: the scenes of `calibration.py`.

Chosen before anything was tuned: four cameras in the corners of a room (4 m from its middle, 2.2 m high,
1920 × 1080, f = 1400 px: a phone's or webcam's) look at a person who walks on an ellipse of 1.3 to 1.6 m half axes.
26 points (17 joints and the middles of nine bones), 300 frames at 50 Hz, 3 px of independent noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import Body, limits, pose
from coview.body.procedural_motion import gait_angles, smooth_noise, walking_speed
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.formats.keypoints.detections import Detections

FPS, FRAMES, SIGMA = 50.0, 300, 3.0
BONES = [(1, 2), (2, 3), (4, 5), (5, 6), (11, 12), (12, 13), (14, 15), (15, 16), (0, 8)]
FINE = 20  # motion is made at this multiple of the frame rate and read between by a line: 0.02 mm off at most

_LONGEST = 120.0  # seconds of motion


@dataclass(frozen=True)
class Recording:
    """What the calibration is given, and the truth that it is not."""

    truth: Cameras
    lenses: Cameras  # intrinsics as given, no extrinsics
    pixels: Float[Tensor, "frames views joints 2"]
    weights: Float[Tensor, "frames views joints"]
    late: Float[Tensor, "views"]  # seconds, against the first camera
    drift: Float[Tensor, "views"]  # seconds per second of the camera's own clock
    world: Float[Tensor, "frames 26 3"]  # at the first camera's frames
    clean: Float[
        Tensor, "frames views 26 2"
    ]  # what cameras that are on time would have detected, without outliers
    trusted: Float[Tensor, "frames views 26"]  # 1 where that was detected


def walk(frames: int, fps: float, seed: int) -> Float[Tensor, "frames 26 3"]:
    """Metres, z up: level walking on an ellipse, the arms and trunk moving about besides."""
    g = torch.Generator().manual_seed(seed)
    body = Body.make(1.6 + 0.3 * torch.rand((), generator=g).item(), g)
    period = 1.0 + 0.25 * torch.rand((), generator=g).item()
    low, _, high = limits()
    loose = 0.15 * (high - low) * smooth_noise(frames, len(low), 0.6, fps, g).tanh()
    angles = (gait_angles(torch.arange(frames) / (fps * period)) + loose).clamp(low, high)
    a, b, start, side = torch.rand(4, generator=g).tolist()
    a, b = 1.3 + 0.3 * a, 1.3 + 0.3 * b
    way = torch.arange(frames) * walking_speed(body, period) / fps
    at = way / ((a + b) / 2) + 6.2832 * start
    turn = 1.0 if side < 0.5 else -1.0
    ground = torch.stack([a * at.cos(), turn * b * at.sin()], dim=-1)
    heading = torch.atan2(turn * b * at.cos(), -a * at.sin())
    joints = pose(body, angles, heading, ground).double()
    return torch.cat([joints] + [(joints[:, i] + joints[:, j])[:, None] / 2 for i, j in BONES], dim=1)


def record(
    seed: int,
    *,
    cameras: Cameras | None = None,
    views: int = 4,
    frames: int = FRAMES,
    outliers: float = 0.0,
    missing: float = 0.0,
    late: Tensor | None = None,
    drift: Tensor | None = None,
    focal: float | Tensor = 1.0,
    noise: float = SIGMA,
) -> Recording:
    """One recording. `focal`: the lenses given are so many times the true ones; outliers are 80 px off."""
    g = torch.Generator().manual_seed(1_000_003 * (seed + 1))
    truth = ring(views) if cameras is None else cameras
    late = torch.zeros(len(truth), dtype=torch.float64) if late is None else late.double()
    drift = torch.zeros(len(truth), dtype=torch.float64) if drift is None else drift.double()
    lead = max(0.0, -float(late.min())) + 0.5
    seconds = min(_LONGEST, frames / FPS + lead + max(0.0, float(late.max())) + 1)
    motion = walk(int(seconds * FPS * FINE), FPS * FINE, seed)
    own = torch.arange(frames, dtype=torch.float64) / FPS
    places = [(own + late[v] + drift[v] * own + lead) * FPS * FINE for v in range(len(truth))]
    pixels = torch.stack([truth[v].project(_at(motion, place)) for v, place in enumerate(places)], dim=1)
    seen = ((pixels >= 0) & (pixels <= truth.size[:, None] - 1)).all(dim=-1)
    at_once = _at(motion, places[0])
    errors = noise * torch.randn(pixels.shape, generator=g, dtype=torch.float64)
    pixels, clean = pixels + errors, truth.project(at_once[:, None]) + errors
    chance, angle, luck = torch.rand(3, *seen.shape, generator=g, dtype=torch.float64)
    away = 80 * torch.stack([(6.2832 * angle).cos(), (6.2832 * angle).sin()], dim=-1)
    pixels = pixels + (chance < outliers)[..., None] * away
    seen = seen & (luck >= missing)
    given = truth.intrinsics.clone()
    given[:, :2, :2] *= torch.as_tensor(focal, dtype=torch.float64).expand(len(truth))[:, None, None]
    lenses = replace(truth, intrinsics=given, cam_from_world=torch.full_like(truth.cam_from_world, torch.nan))
    trusted = (seen & (chance >= outliers)).double()
    pixels = torch.where(seen[..., None], pixels, torch.nan)
    return Recording(truth, lenses, pixels, seen.double(), late, drift, at_once, clean, trusted)


def beside(first: Recording, seed: int, **settings) -> Recording:
    """Another person in the same recording, who keeps half a metre away from the first."""
    for other in range(seed + 100_000, seed + 101_000):
        found = record(other, **settings)
        apart = (found.world[:, 0, :2] - first.world[:, 0, :2]).norm(dim=-1)
        if float(apart.min()) > 0.5:
            return found
    raise RuntimeError("no second person found that keeps away from the first")


def crowd(people: Sequence[Recording], seed: int) -> tuple[Tensor, Tensor]:
    """Joints (views frames people joints 2) and confidence as a detector gives them: people in any order, and who is
    hidden behind another not at all."""
    g = torch.Generator().manual_seed(seed)
    pixels = torch.stack([person.pixels for person in people], dim=2).transpose(0, 1)  # views frames people
    seen = torch.stack([person.weights for person in people], dim=2).transpose(0, 1) > 0
    low = torch.where(seen[..., None], pixels, torch.inf).amin(dim=-2)
    high = torch.where(seen[..., None], pixels, -torch.inf).amax(dim=-2)
    area = (high - low).clamp(min=0).prod(dim=-1)
    for one, other in permutations(range(len(people)), 2):
        shared = torch.minimum(high[:, :, one], high[:, :, other]) - torch.maximum(
            low[:, :, one], low[:, :, other]
        )
        hidden = shared.clamp(min=0).prod(dim=-1) > 0.6 * area[:, :, one]
        seen[:, :, one] &= ~(hidden & (area[:, :, one] < area[:, :, other]))[..., None]
    order = torch.rand(seen.shape[:3], generator=g).argsort(dim=-1)
    pixels = pixels.gather(2, order[..., None, None].expand_as(pixels))
    seen = seen.gather(2, order[..., None].expand_as(seen))
    return torch.where(seen[..., None], pixels, torch.nan), seen.double()


def side_by_side(
    joints: Float[Tensor, "views frames people joints 2"], confidence: Tensor, ids: Tensor
) -> tuple[Tensor, Tensor]:
    """Pixels (frames views joints 2) and weights, the joints of each person after those of another."""
    detections, everybody = Detections(joints, confidence), []
    for person in range(1, int(ids.max()) + 1):
        mine = ids == person
        places = torch.where(mine.any(dim=-1), mine.int().argmax(dim=-1), -1)
        everybody.append(tuple(part.transpose(0, 1) for part in detections.picked(places)))
    pixels, weights = (torch.cat(parts, dim=2) for parts in zip(*everybody, strict=True))
    return pixels, weights


def ring(views: int) -> Cameras:
    """The room's cameras, all alike."""
    return ring_cameras(views, radius=4.0, height=2.2, focal=1400.0, size=(1920, 1080), start_angle=0.3).to(
        torch.float64
    )


def _at(motion: Tensor, places: Tensor) -> Tensor:
    last = len(motion) - 2
    places = last - (places % (2 * last) - last).abs()  # a take longer than the motion goes back and forth
    before = places.floor().long().clamp(max=last)
    return torch.lerp(motion[before], motion[before + 1], (places - before)[:, None, None])
