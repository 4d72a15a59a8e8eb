"""`mocap4`, the benchmark every method runs: real motion seen by four synthetic cameras on a ring.

Every sixth frame of the clips, 17 joints, four static cameras 5 m away and 1.5 m high that see 1000 × 1000
pixels with a focal length of 1145. Two inputs: `EXACT` and `DETECTED`. Two rings that nobody is trained
on, `near` and `far`, tell how a model does on a camera that stands elsewhere. docs/mocap4.md has it whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory
from coview.data.mocap import Clip, Split, data_folder, read_clips
from coview.data.synthetic import DetectorNoise, detect, ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17

# What a good detector does on people it was not trained on. Stated before any method was run on it.
DETECTED = DetectorNoise(sigma=5.0, outlier_rate=0.04, outlier_px=60.0, missing_rate=0.02, swap_rate=0.02)
RINGS = {"same": (5.0, 1.5), "near": (3.5, 2.6), "far": (6.0, 0.6)}  # radius and height, metres
EVERY = 6  # frames of 60 per second
REACH = 1.5  # metres that a pelvis may be from the centre of the ring
Ring = Literal["same", "near", "far"]


@dataclass(frozen=True)
class Mocap4Config(DataConfig):
    """The benchmark's instants. Training always sees the four cameras of the ring `same`."""

    folder: Path | None = None  # prepared motion; default: where `coview data prepare` puts it
    noise: DetectorNoise = DETECTED  # EXACT for the noise-free input
    ring: Ring = "same"  # of the cameras that `validation` is seen by
    split: Literal["val", "test"] = "test"  # of the clips that `validation` holds
    seed: int = 0  # of the detector's noise

    @property
    def provides(self) -> frozenset[str]:
        return frozenset({"cameras", "joints2d", "confidence", "image_size", "joints3d", "rig"})

    def train(self) -> InMemory:
        return self._instants("train", "same", 0)

    def validation(self) -> InMemory:
        return self._instants(self.split, self.ring, 1)

    def _instants(self, split: Split, ring: Ring, stream: int) -> InMemory:
        clips = read_clips(data_folder(self.folder), split)
        joints3d = torch.cat([centred(clip) for clip in clips])
        radius, height = RINGS[ring]
        cameras = ring_cameras(4, radius=radius, height=height)
        joints2d, confidence = detect(joints3d, cameras, self.noise, 2 * self.seed + stream)
        return InMemory(
            MultiView(
                H36M_17,
                cameras=cameras.expand(len(joints3d), 4),
                joints2d=joints2d,
                confidence=confidence,
                image_size=cameras.size.expand(len(joints3d), 4, 2),
                joints3d=joints3d,
                rig=torch.zeros(len(joints3d), dtype=torch.long),
            )
        )

    def cameras(self) -> Cameras:
        """The four cameras of the ring that `validation` is seen by."""
        radius, height = RINGS[self.ring]
        return ring_cameras(4, radius=radius, height=height)


def centred(clip: Clip) -> Float[Tensor, "instants joints 3"]:
    """Every sixth pose of a clip as 17 joints, metres, around the centre of the ring.

    The median place of the pelvis becomes the centre; a pose whose pelvis is farther out than `REACH` is
    moved, as it is, to that distance. Heights stay."""
    points = clip.points[::EVERY, : len(H36M_17)]  # the first 17 joints of MOCAP_19 are those of H36M_17
    ground = points[:, 0, :2] - points[:, 0, :2].median(dim=0).values
    kept = ground * (REACH / ground.norm(dim=-1, keepdim=True).clamp_min(REACH))
    shift = torch.cat([kept - points[:, 0, :2], torch.zeros(len(points), 1)], dim=-1)
    return points + shift[:, None]
