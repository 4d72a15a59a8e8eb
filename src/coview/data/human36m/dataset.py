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
from coview.data.human36m.images import CropReader, crop_cameras, crop_regions
from coview.data.human36m.labels import Labels, picture_folder, read_labels
from coview.data.mocap.clips import data_folder
from coview.data.on_disk import OnDisk
from coview.errors import InputError, MissingFileError
from coview.sample import MultiView
from coview.skeletons import LEARNABLE_17, named_skeleton

NAME = "human36m"
_FPS = 50.0
# scenes whose 3D labels have a constant offset, which affects errors that are not relative to the root
DAMAGED = (("S9", "Greeting-2"), ("S9", "SittingDown-2"), ("S9", "Waiting-1"))


@dataclass(frozen=True)
class Human36MConfig(DataConfig):
    """Crops of Human3.6M, read from disk when indexed."""

    # folder of the prepared data; default: $COVIEW_DATA/human36m, else ~/.cache/coview/data/human36m
    folder: Path | None = None
    # subjects to train on
    train_subjects: tuple[str, ...] = ("S1", "S5", "S6", "S7", "S8")
    # subjects to test on
    test_subjects: tuple[str, ...] = ("S9", "S11")
    # use every n-th training instant of the labels, which may already be a subset of the frames
    train_every: int = 1
    # use every n-th test instant of the labels
    test_every: int = 1
    # names of the cameras to use, in this order; empty: all
    views: tuple[str, ...] = ()
    # side of the square crops, pixels
    size: int = 384
    # factor on the labels' box to crop; 1 in every released setting
    box_scale: float = 1.0
    # undistort images when reading; False: read the folders imageSequence-undistorted
    undistort: bool = True
    # include the three scenes of S9 with damaged 3D labels in the tests
    damaged: bool = False
    # keep instants that lack a view, as long as two are left: NaN camera, black image, no confidence; else they are
    # left out
    incomplete: bool = False
    # order of the joints: that of the released weights, or h36m_17 with the same joints
    skeleton: Literal["learnable_17", "h36m_17"] = "learnable_17"
    # crop cameras as the released weights were trained: without the half pixel of resizing
    released_numerics: bool = False
    # threads that read and decode images
    threads: int = 8

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
        """Fields of every instant."""
        provided = {"images", "cameras", "joints2d", "confidence", "image_size", "joints3d", "rig"}
        return frozenset(provided) | {"subject", "sequence", "time"}

    def train(self) -> OnDisk:
        """The training subjects."""
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
        crops = CropReader(labels, regions, pictures, self.size, self.undistort, self.released_numerics)
        return OnDisk(InMemory(self._sample(labels, regions)), crops, self.threads)

    def _seen(self, labels: Labels) -> Labels:
        """The labels of the chosen views; ValueError naming a view that does not exist."""
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
        """FileNotFoundError where the first clip has no images, before the first batch is asked for."""
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
        cameras = mask_absent(
            crop_cameras(whole, regions, self.size, released_numerics=self.released_numerics), ~labels.seen
        )
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


def mask_absent(cameras: Cameras, absent: Tensor) -> Cameras:
    """The same cameras with NaN matrices where they are absent.

    Args:
        cameras: any batch.
        absent: boolean, of the shape of the batch."""
    hole = absent[..., None, None]
    return replace(
        cameras,
        intrinsics=cameras.intrinsics.masked_fill(hole, torch.nan),
        cam_from_world=cameras.cam_from_world.masked_fill(hole, torch.nan),
    )


def is_damaged(labels: Labels) -> Tensor:
    """Whether each row belongs to a scene with damaged 3D labels (`DAMAGED`).

    Args:
        labels: to be looked at."""
    wrong = torch.zeros(len(labels), dtype=torch.bool)
    for subject, action in DAMAGED:
        if subject in labels.subjects and action in labels.actions:
            whose = labels.subject == labels.subjects.index(subject)
            wrong |= whose & (labels.action == labels.actions.index(action))
    return wrong
