"""`mocap4`, the benchmark every method runs: real motion seen by four synthetic cameras on a ring.

Every sixth frame of the clips, 17 joints, four static cameras 5 m away and 1.5 m high that see 1000 × 1000
pixels with a focal length of 1145. Two inputs: `EXACT` and `DETECTED`. Two rings that nobody is trained
on, `near` and `far`, tell how a model does on a camera that stands elsewhere. Training can also see fewer or
more cameras, and half or twice the errors (`INPUTS`). docs/results/mocap4.md has it whole.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory
from coview.data.mocap.clips import Clip, Split, data_folder, read_clips
from coview.data.synthetic.recordings import EXACT, DetectorNoise, detect, ring_cameras
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import H36M_17

# What a good detector does on people it was not trained on. Stated before any method was run on it.
DETECTED = DetectorNoise(sigma=5.0, outlier_rate=0.04, outlier_px=60.0, missing_rate=0.02, swap_rate=0.02)
INPUTS = {  # errors in pixels are halved and doubled, rates stay
    "exact": EXACT,
    "half": replace(DETECTED, sigma=DETECTED.sigma / 2, outlier_px=DETECTED.outlier_px / 2),
    "detected": DETECTED,
    "double": replace(DETECTED, sigma=DETECTED.sigma * 2, outlier_px=DETECTED.outlier_px * 2),
}
VIEWS = 4  # cameras of every ring, unless training is told otherwise
FEWEST, MOST = 2, 8  # cameras of training
RINGS = {"same": (5.0, 1.5), "near": (3.5, 2.6), "far": (6.0, 0.6)}  # radius and height, metres
EVERY = 6  # frames of 60 per second
REACH = 1.5  # metres that a pelvis may be from the centre of the ring
Ring = Literal["same", "near", "far"]
_EMPTY = {  # what to do where a split has no clips
    "train": "Prepare takes of other subjects, or hold fewer subjects out.",
    "val": "Raw recordings are prepared without it: use split 'test', or hold subjects out and use 'held_out'.",
    "test": "Prepare takes of subjects 11, 131 or 135, or hold subjects out and use 'held_out'.",
    "held_out": "Name in held_out the subjects of train clips that it shall hold.",
}


@dataclass(frozen=True)
class Mocap4Config(DataConfig):
    """The benchmark's instants. Training always sees cameras of the ring `same`, the tests always four of a ring.

    ValueError for a number of training cameras outside 2 to 8."""

    folder: Path | None = None  # prepared motion; default: where `coview data prepare` puts it
    noise: DetectorNoise = DETECTED  # EXACT for the noise-free input
    ring: Ring = "same"  # of the cameras that `validation` is seen by
    split: Literal["val", "test", "held_out"] = "test"  # of the clips that `validation` holds
    # subjects left out of training; with split "held_out" they are what `validation` holds
    held_out: tuple[str, ...] = ()
    seed: int = 0  # of the detector's noise
    # cameras of training, 2 to 8: of 2 or 3, the first of the four, a quarter turn apart; of more, a ring of so many
    views: int = VIEWS

    def __post_init__(self) -> None:
        if not FEWEST <= self.views <= MOST:
            raise InputError(
                f"Mocap4Config: views is the number of training cameras, {FEWEST} to {MOST}, got {self.views}: "
                f"one camera has no other to learn from."
            )

    @property
    def provides(self) -> frozenset[str]:
        known = {"cameras", "joints2d", "confidence", "image_size", "joints3d", "rig"}
        return frozenset(known) | {"subject", "sequence", "time"}

    def train(self) -> InMemory:
        return self._instants("train", "same", 0, self.views)

    def validation(self) -> InMemory:
        """The instants of `split`, seen by `ring`."""
        return self._instants(self.split, self.ring, 1, VIEWS)

    def _clips(self, split: Split | Literal["held_out"]) -> list[Clip]:
        """The clips of a split; held-out subjects are taken from the train clips.

        ValueError naming the folder for subjects that do not train there, and for a split without clips."""
        folder = data_folder(self.folder)
        if split in ("val", "test"):
            kept = list(read_clips(folder, split))
        else:
            clips = read_clips(folder, "train")
            self._check_held_out({clip.subject for clip in clips}, folder)
            kept = [clip for clip in clips if (clip.subject in self.held_out) == (split == "held_out")]
        if not kept:
            raise InputError(f"{folder} has no clips for split '{split}'. {_EMPTY[split]}")
        return kept

    def _check_held_out(self, known: set[str], folder: Path) -> None:
        if unknown := [subject for subject in self.held_out if subject not in known]:
            raise InputError(
                f"Mocap4Config: held_out names '{unknown[0]}', whom no train clip in {folder} shows. "
                f"Known subjects: {', '.join(sorted(known)) or 'none'}."
            )

    def _instants(self, split: Split | Literal["held_out"], ring: Ring, stream: int, views: int) -> InMemory:
        clips = self._clips(split)
        joints3d = torch.cat([centred(clip) for clip in clips])
        radius, height = RINGS[ring]
        cameras = ring_cameras(max(views, VIEWS), radius=radius, height=height)
        joints2d, confidence = detect(joints3d, cameras, self.noise, 2 * self.seed + stream)
        cameras = cameras[:views]  # fewer than four see the same pixels as they do among four
        return InMemory(
            MultiView(
                H36M_17,
                cameras=cameras.expand(len(joints3d), views),
                joints2d=joints2d[:, :views],
                confidence=confidence[:, :views],
                image_size=cameras.size.expand(len(joints3d), views, 2),
                joints3d=joints3d,
                rig=torch.zeros(len(joints3d), dtype=torch.long),
                **_whereabouts(clips),
            )
        )

    def cameras(self) -> Cameras:
        """The four cameras of the ring that `validation` is seen by."""
        radius, height = RINGS[self.ring]
        return ring_cameras(VIEWS, radius=radius, height=height)


def _whereabouts(clips: list[Clip]) -> dict[str, Any]:
    """Who each instant shows, numbered as they first appear, in which clip, and when in it (seconds)."""
    names = list(dict.fromkeys(clip.subject for clip in clips))
    counts = torch.tensor([len(clip.points[::EVERY]) for clip in clips])
    return {
        "subject": torch.tensor([names.index(clip.subject) for clip in clips]).repeat_interleave(counts),
        "sequence": torch.arange(len(clips)).repeat_interleave(counts),
        "time": torch.cat([torch.arange(len(clip.points[::EVERY])) * EVERY / clip.fps for clip in clips]),
    }


def centred(clip: Clip) -> Float[Tensor, "instants joints 3"]:
    """Every sixth pose of a clip as 17 joints, metres, around the centre of the ring.

    The median place of the pelvis becomes the centre; a pose whose pelvis is farther out than `REACH` is
    moved, as it is, to that distance. Heights stay."""
    points = clip.points[::EVERY, : len(H36M_17)]  # the first 17 joints of MOCAP_19 are those of H36M_17
    ground = points[:, 0, :2] - points[:, 0, :2].median(dim=0).values
    kept = ground * (REACH / ground.norm(dim=-1, keepdim=True).clamp_min(REACH))
    shift = torch.cat([kept - points[:, 0, :2], torch.zeros(len(points), 1)], dim=-1)
    return points + shift[:, None]
