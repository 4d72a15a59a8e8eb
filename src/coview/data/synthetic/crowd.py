"""Synthetic recordings of several people who cross, occlude each other and are listed in random order in every
frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.body.procedural_motion import Kind, random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import DetectorNoise, detect, ring_cameras
from coview.data.synthetic.resting_people import Rest, resting_motion
from coview.formats.keypoints.detections import Detections

# share of a person's box behind a nearer person's, above which the detector overlooks the person
_HIDDEN = 0.6
# least distance of two people (about), metres, and iterations that enforce it
_ROOM, _PUSHES = 0.6, 20
CROWD_NOISE = DetectorNoise(sigma=3.0, outlier_rate=0.05, outlier_px=80.0, missing_rate=0.02)


@dataclass(frozen=True)
class Crowd:
    """Detections of all cameras, and the truth."""

    cameras: Cameras
    # metres, z up, at the frames of a camera without time offset
    joints3d: Float[Tensor, "people frames joints 3"]
    # of all cameras
    detections: Detections
    # number (from 1) of the person of each detection; -1: none
    who: Int[Tensor, "views frames people"]


def generated_crowd(
    people: int,
    views: int,
    frames: int,
    *,
    fps: float = 25.0,
    noise: DetectorNoise = CROWD_NOISE,
    missed: float = 0.05,
    distance: float = 0.7,
    radius: float = 6.0,
    kind: Kind | Rest | Sequence[Kind | Rest] = "mixed",
    time_offsets: tuple[float, ...] | None = None,
    seed: int = 0,
) -> Crowd:
    """A synthetic recording of several people in a ring of cameras. The same seed gives the same recording.

    Args:
        people: number of people.
        views: number of cameras.
        frames: per camera.
        fps: frames per second.
        noise: of the detector.
        missed: share of people that the detector overlooks at random; it always overlooks who is mostly occluded.
        distance: metres between the centre of the ring and the places around which people move.
        radius: of the ring, metres.
        kind: of the motion, of everybody or one per person.
        time_offsets: of each camera in frames, also fractions: frame i shows the world at frame i + offset. None:
            zeros.
        seed: of motion, noise and order."""
    time_offsets = time_offsets or (0.0,) * views
    before = max(0, -int(min(time_offsets) // 1))
    length = frames + before + int(max(time_offsets)) + 2
    kinds = (kind,) * people if isinstance(kind, str) else tuple(kind)
    motion = torch.stack(
        [_motion(length, who, people, fps, kinds[who], distance, seed * 1009 + who) for who in range(people)]
    )
    motion = _apart(motion, fps)
    cameras = ring_cameras(views, radius=radius)
    generator = torch.Generator().manual_seed(seed)
    joints, confidence, there = [], [], []
    for view in range(views):
        world = _at(motion, before + time_offsets[view] + torch.arange(frames))
        found = [
            detect(each, cameras[view : view + 1], noise, seed * 10_007 + 101 * who + view)
            for who, each in enumerate(world)
        ]
        joints.append(torch.stack([each[0][:, 0] for each in found], dim=1))
        confidence.append(torch.stack([each[1][:, 0] for each in found], dim=1))
        overlooked = torch.rand(frames, people, generator=generator) < missed
        there.append(~overlooked & ~_hidden(world, cameras[view : view + 1]))
    seen = torch.stack(there) & (torch.stack(confidence) > 0).any(dim=-1)
    order = torch.rand(seen.shape, generator=generator).argsort(dim=-1)
    pixels = torch.where(seen[..., None, None], torch.stack(joints), torch.nan)
    confidences = torch.where(seen[..., None], torch.stack(confidence), 0.0)
    who = torch.where(seen, torch.arange(1, people + 1).expand_as(seen), -1)
    taken = order[..., None].expand(confidences.shape)
    detections = Detections(
        pixels.gather(2, taken[..., None].expand(pixels.shape)), confidences.gather(2, taken)
    )
    return Crowd(cameras, motion[:, before : before + frames], detections, who.gather(2, order))


def _motion(
    frames: int, who: int, people: int, fps: float, kind: Kind | Rest, distance: float, seed: int
) -> Float[Tensor, "frames joints 3"]:
    stature = 1.6 + 0.3 * ((seed * 37) % 11) / 10
    angle = torch.tensor(2 * torch.pi * who / people)
    place = distance * torch.stack([angle.cos(), angle.sin(), torch.zeros(())])
    if kind == "talk" or kind == "sit" or kind == "still":
        return resting_motion(frames, fps=fps, seed=seed, how=kind, stature=stature) + place
    return random_motion(frames, fps=fps, seed=seed, kind=kind, stature=stature) + place


def _apart(
    motion: Float[Tensor, "people frames joints 3"], fps: float
) -> Float[Tensor, "people frames joints 3"]:
    """The motions, displaced horizontally where two people would intersect."""
    middle = motion.mean(dim=2)[..., :2]
    width = max(1, round(0.3 * fps))
    for _ in range(_PUSHES):
        between = middle[:, None] - middle[None]
        far = between.norm(dim=-1, keepdim=True).clamp(min=0.05)
        push = (between / far * (_ROOM - far).clamp(min=0)).sum(dim=1) / 2
        padded = torch.nn.functional.pad(push.transpose(1, 2), (width, width), mode="replicate")
        middle = middle + torch.nn.functional.avg_pool1d(padded, 2 * width + 1, stride=1).transpose(1, 2)
    shift = middle - motion.mean(dim=2)[..., :2]
    return motion + torch.nn.functional.pad(shift, (0, 1))[:, :, None]


def _at(
    motion: Float[Tensor, "people all joints 3"], times: Float[Tensor, "frames"]
) -> Float[Tensor, "people frames joints 3"]:
    """Linear interpolation between frames."""
    first = times.floor().long()
    share = (times - first)[:, None, None]
    return (1 - share) * motion[:, first] + share * motion[:, first + 1]


def _hidden(world: Float[Tensor, "people frames joints 3"], camera: Cameras) -> Bool[Tensor, "frames people"]:
    """Who is mostly behind a nearer person."""
    pixels = torch.stack([camera.project(each[:, None])[:, 0] for each in world], dim=1)
    depth = torch.stack([camera.to_camera(each[:, None])[:, 0, :, 2].mean(dim=-1) for each in world], dim=1)
    low, high = pixels.amin(dim=-2), pixels.amax(dim=-2)
    shared = torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(low[:, :, None], low[:, None])
    covered = shared.clamp(min=0).prod(dim=-1) / (high - low).prod(dim=-1)[:, :, None]
    behind = depth[:, :, None] > depth[:, None]
    return ((covered > _HIDDEN) & behind).any(dim=-1)
