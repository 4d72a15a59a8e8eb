"""Human3.6M [Ionescu14]: eleven people in a laboratory seen by four cameras, as crops with their cameras.

Read as [Iskakov19] prepared it; the user brings pictures and labels (docs/howto/data_sets.md).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory
from coview.data.human36m.images import Crops, crop_cameras, crop_regions
from coview.data.human36m.labels import Labels, picture_folder, read_labels
from coview.data.mocap.clips import data_folder
from coview.data.on_disk import OnDisk
from coview.errors import InputError, MissingFileError
from coview.sample import MultiView
from coview.skeletons import LEARNABLE_17, named_skeleton

NAME = "human36m"
_FPS = 50.0
# their 3D labels are off by a constant, which shows in errors that are not relative to the root
DAMAGED = (("S9", "Greeting-2"), ("S9", "SittingDown-2"), ("S9", "Waiting-1"))


@dataclass(frozen=True)
class Human36MConfig(DataConfig):
    """Crops of Human3.6M, read from disk when asked for."""

    folder: Path | None = None  # default: $COVIEW_DATA/human36m, else ~/.cache/coview/data/human36m
    train_subjects: tuple[str, ...] = ("S1", "S5", "S6", "S7", "S8")
    test_subjects: tuple[str, ...] = ("S9", "S11")
    train_every: int = 1  # use every n-th instant of the labels, which may hold fewer than all already
    test_every: int = 1
    views: tuple[str, ...] = ()  # names of cameras, in this order; all of them where empty
    size: int = 384  # pixels, of the square crops
    box_scale: float = 1.0  # of the crop about the box of the labels, as in every released setting
    undistort: bool = True  # when reading; False: read the folders imageSequence-undistorted, made before
    damaged: bool = False  # whether testing includes the three scenes of S9 whose labels are off
    # whether instants that a view lacks, but not all or all but one, are there: with NaN for its camera, black for
    # its picture and no confidence, as methods on images know to pass over; else they are left out
    incomplete: bool = False
    # the order of the released weights; h36m_17 is the house's own, with the same joints
    skeleton: Literal["learnable_17", "h36m_17"] = "learnable_17"
    reference: bool = False  # the crops of the released weights: cameras without the half pixel
    threads: int = 8  # that read and decode pictures

    def __post_init__(self) -> None:
        for name in ("train_every", "test_every", "size", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"Human36MConfig: {name} must be at least 1, got {getattr(self, name)}.")
        if not self.box_scale > 0:
            raise InputError(f"Human36MConfig: box_scale must be above 0, got {self.box_scale}.")
        if both := sorted(set(self.train_subjects) & set(self.test_subjects)):
            raise InputError(
                f"Human36MConfig: {', '.join(both)} would train and test; test figures would flatter the model."
            )
        if len(set(self.views)) < len(self.views):
            raise InputError(f"Human36MConfig: views names a camera twice: {', '.join(self.views)}.")

    @property
    def provides(self) -> frozenset[str]:
        known = {"images", "cameras", "joints2d", "confidence", "image_size", "joints3d", "rig"}
        return frozenset(known) | {"subject", "sequence", "time"}

    def train(self) -> OnDisk:
        return self._instants(self.train_subjects, self.train_every, damaged=True)

    def validation(self) -> OnDisk:
        """The test subjects, in the order of the labels."""
        return self._instants(self.test_subjects, self.test_every, damaged=self.damaged)

    def _instants(self, subjects: tuple[str, ...], every: int, *, damaged: bool) -> OnDisk:
        folder = data_folder(self.folder, NAME)
        labels = self._seen(read_labels(folder))
        labels = labels[self._rows(labels, subjects, every, damaged)]
        pictures = picture_folder(folder)
        self._check_pictures(labels, pictures)
        regions = crop_regions(labels.boxes, self.box_scale)
        crops = Crops(labels, regions, pictures, self.size, self.undistort, self.reference)
        return OnDisk(InMemory(self._sample(labels, regions)), crops, self.threads)

    def _seen(self, labels: Labels) -> Labels:
        """The labels of the views asked for; ValueError naming one that is not there."""
        if unknown := [name for name in self.views if name not in labels.cameras]:
            raise InputError(
                f"Human36MConfig: there is no camera '{unknown[0]}'. Known: {', '.join(labels.cameras)}."
            )
        return labels.of_views([labels.cameras.index(name) for name in self.views or labels.cameras])

    def _rows(self, labels: Labels, subjects: tuple[str, ...], every: int, damaged: bool) -> Tensor:
        if unknown := [name for name in subjects if name not in labels.subjects]:
            raise InputError(
                f"Human36MConfig: the labels know no subject '{unknown[0]}'. Known: {', '.join(labels.subjects)}."
            )
        wanted = torch.tensor([name in subjects for name in labels.subjects])[labels.subject.long()]
        if not damaged:
            wanted &= ~is_damaged(labels)
        rows = wanted.nonzero().flatten()[::every]
        seen = labels.seen[rows].sum(dim=-1)
        views = len(labels.cameras)
        rows = rows[seen >= min(2, views)] if self.incomplete else rows[seen == views]
        if not len(rows):
            raise InputError(
                f"the labels have no instant of {', '.join(subjects) or 'nobody'} that enough views saw. "
                f"Prepare labels that hold these subjects, or name others or fewer views."
            )
        return rows

    def _check_pictures(self, labels: Labels, pictures: Path) -> None:
        """FileNotFoundError where the first clip has no pictures: better now than in the first batch."""
        view = int(labels.seen[0].long().argmax())
        first = labels.picture(pictures, 0, view, undistorted=not self.undistort).parent
        if first.is_dir():
            return
        other = labels.picture(pictures, 0, view, undistorted=self.undistort).parent
        hint = f" But {other} is: set undistort to {not self.undistort}." if other.is_dir() else ""
        raise MissingFileError(
            f"{first} is not there, where the pictures of the labels' first instant should be.{hint} "
            f"Pictures are extracted with h36m-fetch, see docs/howto/data_sets.md."
        )

    def _sample(self, labels: Labels, regions: Tensor) -> MultiView:
        subject = labels.subject.long()
        size = regions[..., 2:].float()
        whole = Cameras.make(labels.intrinsics[subject], labels.cam_from_world[subject], size)
        cameras = without(crop_cameras(whole, regions, self.size, reference=self.reference), ~labels.seen)
        order = [LEARNABLE_17.index(joint) for joint in named_skeleton(self.skeleton).joints]
        joints3d = labels.joints3d[:, order]
        joints2d = cameras.project(joints3d[:, None])
        inside = ((joints2d > -0.5) & (joints2d < self.size - 0.5)).all(dim=-1)
        return MultiView(
            named_skeleton(self.skeleton),
            cameras=cameras,
            joints2d=joints2d.nan_to_num(0.0),
            confidence=inside.float(),
            image_size=cameras.size,
            joints3d=joints3d,
            rig=subject,
            subject=subject,
            sequence=subject * len(labels.actions) + labels.action.long(),
            time=labels.frame / _FPS,
        )


def without(cameras: Cameras, absent: Tensor) -> Cameras:
    """The same cameras with NaN for the matrices of those that are absent."""
    hole = absent[..., None, None]
    return replace(
        cameras,
        intrinsics=cameras.intrinsics.masked_fill(hole, torch.nan),
        cam_from_world=cameras.cam_from_world.masked_fill(hole, torch.nan),
    )


def is_damaged(labels: Labels) -> Tensor:
    """Per row, whether it is of a scene whose 3D labels are off."""
    wrong = torch.zeros(len(labels), dtype=torch.bool)
    for subject, action in DAMAGED:
        if subject in labels.subjects and action in labels.actions:
            whose = labels.subject == labels.subjects.index(subject)
            wrong |= whose & (labels.action == labels.actions.index(action))
    return wrong
