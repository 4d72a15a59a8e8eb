"""Poses, subjects and times of rendered scenes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.body.procedural_motion import Kind, random_motion
from coview.data.mocap.clips import Clip, read_clips
from coview.errors import InputError
from coview.skeletons import H36M_17

_KINDS: tuple[Kind, ...] = ("random", "random", "random", "mixed", "mixed", "gait")
# instants per second of a motion: nearer ones look alike
_FPS = 2.0
# largest distance of people from the origin, metres
_REACH = 0.8
# range of statures, metres
_SHORTEST, _TALLEST = 1.5, 1.98


@dataclass(frozen=True)
class Whereabouts:
    """Subject, motion and time of each scene, for people made with the same arguments."""

    # number of the person
    subject: Int[Tensor, "scenes"]
    # number of the continuous motion
    sequence: Int[Tensor, "scenes"]
    # seconds within the motion
    time: Float[Tensor, "scenes"]


@dataclass(frozen=True)
class PosedPeople:
    """The poses of a split, one per scene."""

    # H36M_17, metres, world z up
    joints3d: Float[Tensor, "scenes 17 3"]
    # number of the person; scenes of one person are contiguous
    subject: Int[Tensor, "scenes"]
    # factor on the thickness of trunk, arms, legs; 1: lean adult
    girth: Float[Tensor, "scenes 3"]
    # seed of the person's shape, for mesh bodies
    figure: Int[Tensor, "scenes"]

    def picked(self, index: Int[Tensor, "picked"]) -> "PosedPeople":
        """Some of the scenes.

        Args:
            index: of the scenes."""
        return PosedPeople(self.joints3d[index], self.subject[index], self.girth[index], self.figure[index])


def generated_people(scenes: int, subjects: int, seed: int) -> PosedPeople:
    """Procedural motion [Winter09] of people of different stature, build and movement.

    Different seeds share no person.

    Args:
        scenes: number of scenes.
        subjects: people that the scenes are shared among.
        seed: of motion and build."""
    poses, who, build, figure = [], [], [], []
    for subject, part in enumerate(_shares(scenes, subjects)):
        own = seed * 1_000_003 + subject
        generator = torch.Generator().manual_seed(own)
        stature = _SHORTEST + (_TALLEST - _SHORTEST) * torch.rand((), generator=generator).item()
        kind = _KINDS[int(torch.randint(len(_KINDS), (), generator=generator))]
        poses.append(random_motion(len(part), fps=_FPS, seed=own, kind=kind, stature=stature))
        who.append(torch.full((len(part),), subject))
        build.append(_girth(generator).expand(len(part), 3))
        figure.append(torch.full((len(part),), own))
    return PosedPeople(_gathered(torch.cat(poses)), torch.cat(who), torch.cat(build), torch.cat(figure))


def generated_whereabouts(scenes: int, subjects: int) -> Whereabouts:
    """Subject, motion and time of the scenes of `generated_people`: one motion per subject.

    Args:
        scenes: number of scenes.
        subjects: people that the scenes are shared among."""
    parts = _shares(scenes, subjects)
    subject = torch.arange(subjects).repeat_interleave(torch.tensor([len(part) for part in parts]))
    return Whereabouts(subject, subject, torch.cat([torch.arange(float(len(part))) for part in parts]) / _FPS)


def recorded_people(scenes: int, folder: Path, split: str, seed: int) -> PosedPeople:
    """Instants of prepared motion capture, evenly spaced over the clips of a split, with a random build per subject.

    Args:
        scenes: number of scenes.
        folder: of the prepared motion.
        split: "train" or "val".
        seed: of the builds.

    Raises:
        FileNotFoundError: nothing was prepared.
        ValueError: the motion is damaged, or the split has no clips."""
    clips, names = _clips(folder, split)
    # the first 17 joints of MOCAP_19 are those of H36M_17
    points = torch.cat([clip.points[:, : len(H36M_17)] for clip in clips])
    owner = torch.cat([torch.full((len(clip.points),), names.index(clip.subject)) for clip in clips])
    picked = _evenly(len(points), scenes)
    builds = torch.stack(
        [_girth(torch.Generator().manual_seed(seed * 1_000_003 + i)) for i in range(len(names))]
    )
    return PosedPeople(
        _gathered(points[picked]), owner[picked], builds[owner[picked]], seed * 1_000_003 + owner[picked]
    )


def recorded_whereabouts(scenes: int, folder: Path, split: str) -> Whereabouts:
    """Subject, clip and time of the scenes of `recorded_people`. Raises what that does.

    Args:
        scenes: number of scenes.
        folder: of the prepared motion.
        split: "train" or "val"."""
    clips, names = _clips(folder, split)
    frames = torch.tensor([len(clip.points) for clip in clips])
    picked = _evenly(int(frames.sum()), scenes)
    clip = torch.arange(len(clips)).repeat_interleave(frames)[picked]
    owner = torch.tensor([names.index(each.subject) for each in clips])
    fps = torch.tensor([each.fps for each in clips])
    return Whereabouts(owner[clip], clip, (picked - (frames.cumsum(0) - frames)[clip]) / fps[clip])


def _clips(folder: Path, split: str) -> tuple[list[Clip], list[str]]:
    """The clips of a split, subject by subject, and the subjects' names; ValueError where there are none."""
    clips = sorted(read_clips(folder, split), key=lambda clip: clip.subject)  # type: ignore[arg-type]
    if not clips:
        raise InputError(f"{folder} has no clips for split '{split}', so there is no motion to render.")
    return clips, sorted({clip.subject for clip in clips})


def _shares(scenes: int, subjects: int) -> tuple[Tensor, ...]:
    return torch.arange(scenes).tensor_split(subjects)


def _evenly(frames: int, scenes: int) -> Int[Tensor, "scenes"]:
    return torch.linspace(0, frames - 1, scenes).round().long()


def _gathered(joints3d: Tensor) -> Tensor:
    """People translated to within `_REACH` of the origin; heights are kept."""
    root = joints3d[:, H36M_17.root_index, :2]
    distance = root.norm(dim=-1, keepdim=True)
    kept = root * (_REACH * (distance / 1.2).tanh() / distance.clamp_min(1e-6))
    shift = torch.cat([kept - root, torch.zeros(len(root), 1)], dim=-1)
    return joints3d + shift[:, None]


def _girth(generator: torch.Generator) -> Tensor:
    stout = 0.92 + 0.45 * torch.rand(1, generator=generator).square()
    return stout * (1 + 0.06 * torch.randn(3, generator=generator).clamp(-2, 2))
