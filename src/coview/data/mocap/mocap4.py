"""`mocap4`, the benchmark of all methods: real motion seen by four synthetic cameras on a ring.

Every sixth frame of the clips, 17 joints, four static cameras at 5 m distance and 1.5 m height with 1000 × 1000 pixels
and a focal length of 1145. Two inputs: `EXACT` and `DETECTED`. The rings `near` and `far`, on which nobody is trained,
evaluate new viewpoints. Training can also use other numbers of cameras and half or twice the errors (`INPUTS`).
Specification: docs/results/mocap4.md.
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

# Errors of a good detector on people it was not trained on; fixed before any method was evaluated.
DETECTED = DetectorNoise(sigma=5.0, outlier_rate=0.04, outlier_px=60.0, missing_rate=0.02, swap_rate=0.02)
# inputs by name: errors in pixels halved and doubled at the same rates
INPUTS = {
    "exact": EXACT,
    "half": replace(DETECTED, sigma=DETECTED.sigma / 2, outlier_px=DETECTED.outlier_px / 2),
    "detected": DETECTED,
    "double": replace(DETECTED, sigma=DETECTED.sigma * 2, outlier_px=DETECTED.outlier_px * 2),
}
# cameras of every ring; training may use other numbers
VIEWS = 4
# range of the number of training cameras
FEWEST, MOST = 2, 8
# radius and height of each ring, metres
RINGS = {"same": (5.0, 1.5), "near": (3.5, 2.6), "far": (6.0, 0.6)}
# every n-th frame of clips with 60 per second
EVERY = 6
# largest distance of the pelvis from the centre of the ring, metres
REACH = 1.5
Ring = Literal["same", "near", "far"]
# what to do where a split has no clips
_EMPTY = {
    "train": "Prepare takes of other subjects, or hold fewer subjects out.",
    "val": "Raw recordings are prepared without it: use split 'test', or hold subjects out and use 'held_out'.",
    "test": "Prepare takes of subjects 11, 131 or 135, or hold subjects out and use 'held_out'.",
    "held_out": "Name in held_out the subjects of train clips that it shall hold.",
}


@dataclass(frozen=True)
class Mocap4Config(DataConfig):
    """The benchmark's instants. Training uses cameras of the ring `same`, evaluation always four cameras of one ring.

    ValueError for a number of training cameras outside 2 to 8."""

    # folder of the prepared motion; default: where `coview data prepare` puts it
    folder: Path | None = None
    # errors of the simulated detector
    noise: DetectorNoise = DETECTED
    # ring of cameras of the validation
    ring: Ring = "same"
    # clips of the validation
    split: Literal["val", "test", "held_out"] = "test"
    # subjects left out of training; the validation of split "held_out"
    held_out: tuple[str, ...] = ()
    # of the detector's noise
    seed: int = 0
    # cameras of training, 2 to 8: of 2 or 3, the first of the four, 90° apart; of more, a ring of so many
    views: int = VIEWS

    def __post_init__(self) -> None:
        if not FEWEST <= self.views <= MOST:
            raise InputError(
                f"Mocap4Config: views is the number of training cameras, {FEWEST} to {MOST}, got {self.views}: "
                f"one camera has no other to learn from."
            )

    @property
    def provides(self) -> frozenset[str]:
        """Fields of every instant."""
        provided = {"cameras", "joints2d", "confidence", "image_size", "joints3d", "rig"}
        return frozenset(provided) | {"subject", "sequence", "time"}

    def train(self) -> InMemory:
        """The training instants, seen by `views` cameras of the ring `same`."""
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

    def _check_held_out(self, subjects: set[str], folder: Path) -> None:
        if unknown := [subject for subject in self.held_out if subject not in subjects]:
            raise InputError(
                f"Mocap4Config: held_out names '{unknown[0]}', whom no train clip in {folder} shows. "
                f"Known subjects: {', '.join(sorted(subjects)) or 'none'}."
            )

    def _instants(self, split: Split | Literal["held_out"], ring: Ring, stream: int, views: int) -> InMemory:
        clips = self._clips(split)
        joints3d = torch.cat([centred(clip) for clip in clips])
        radius, height = RINGS[ring]
        cameras = ring_cameras(max(views, VIEWS), radius=radius, height=height)
        joints2d, confidence = detect(joints3d, cameras, self.noise, 2 * self.seed + stream)
        # fewer than four see the same pixels as they do among four
        cameras = cameras[:views]
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
        """The four cameras of `validation`."""
        radius, height = RINGS[self.ring]
        return ring_cameras(VIEWS, radius=radius, height=height)


def _whereabouts(clips: list[Clip]) -> dict[str, Any]:
    """Subject (numbered in order of appearance), clip and time in seconds of each instant."""
    names = list(dict.fromkeys(clip.subject for clip in clips))
    counts = torch.tensor([len(clip.points[::EVERY]) for clip in clips])
    return {
        "subject": torch.tensor([names.index(clip.subject) for clip in clips]).repeat_interleave(counts),
        "sequence": torch.arange(len(clips)).repeat_interleave(counts),
        "time": torch.cat([torch.arange(len(clip.points[::EVERY])) * EVERY / clip.fps for clip in clips]),
    }


def centred(clip: Clip) -> Float[Tensor, "instants joints 3"]:
    """Every sixth pose of a clip as 17 joints, moved to the centre of the ring. Heights are kept.

    The median position of the pelvis becomes the centre; a pose whose pelvis is farther away than `REACH` is translated
    to that distance.

    Args:
        clip: of MOCAP_19.

    Returns:
        Joints of H36M_17, metres, z up."""
    # the first 17 joints of MOCAP_19 are those of H36M_17
    points = clip.points[::EVERY, : len(H36M_17)]
    ground = points[:, 0, :2] - points[:, 0, :2].median(dim=0).values
    kept = ground * (REACH / ground.norm(dim=-1, keepdim=True).clamp_min(REACH))
    shift = torch.cat([kept - points[:, 0, :2], torch.zeros(len(points), 1)], dim=-1)
    return points + shift[:, None]
