"""A recorded session as a data set: its 2D joints teach, its 3D joints, if there are any, only test."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory, joined
from coview.errors import InputError, UnknownNameError
from coview.formats.session.known_cameras import has_lenses, image_sizes, known_cameras
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.sample import MultiView
from coview.skeletons import (
    COCO_19,
    H36M_17,
    SKELETONS,
    Skeleton,
    SkeletonMap,
    can_map,
    named_skeleton,
    skeleton_map,
)

_SEES = 4  # joints with a confidence that make a view see the person


@dataclass(frozen=True)
class RecordedConfig(DataConfig):
    """One or more sessions (`coview import`) with the same number of cameras; each is a rig of its own."""

    sessions: tuple[Path, ...] = ()  # folders that hold a session.toml
    cameras: tuple[str, ...] = ()  # use only these; all where empty
    test_cameras: tuple[str, ...] = ()  # of the validation; default: those of the training
    validation_share: float = 0.2  # the last part of every session: neighbouring frames are too alike to mix
    stride: int = 1  # use every n-th frame
    # name of the skeleton to learn; None: h36m_17 where the recording's joints give it, else coco_19, else their own.
    # Joints of it that the recording lacks count as not seen
    skeleton: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise InputError(
                f"RecordedConfig: validation_share is 0 to below 1, got {self.validation_share}."
            )
        for setting, named in (("cameras", self.cameras), ("test_cameras", self.test_cameras)):
            if doubled := sorted({name for name in named if named.count(name) > 1}):
                raise InputError(
                    f"RecordedConfig: {setting} names {', '.join(doubled)} twice, and a camera has nothing to learn "
                    f"from itself. Name each camera once."
                )
        if self.stride < 1:
            raise InputError(f"RecordedConfig: stride must be at least 1, got {self.stride}.")

    @property
    def provides(self) -> frozenset[str]:
        """Image sizes where every session, or its calibration, has them. Cameras where every session is calibrated, or
        came with a calibration that has its lenses; then their extrinsics are NaN. 3D joints where every session is
        reconstructed."""
        found = frozenset({"joints2d", "confidence", "rig", "subject", "sequence", "time"})
        sessions = [Session.load(path) for path in self.sessions]
        if all(self._sized(session) for session in sessions):
            found |= {"image_size"}
        if sessions and all(has_lenses(session) for session in sessions):
            found |= {"cameras"}
        if sessions and all(session.poses3d_path.is_file() for session in sessions):
            found |= {"joints3d"}
        return found

    def remedy(self, field: str) -> str:
        if not self.sessions:
            return "No session was given: name its folder with --data SESSION."
        session = self.sessions[0]
        return {
            "image_size": f"The image size of some camera is not known, so its image centre is not either: import "
            f"again with the videos or a calibration beside the 2D joints, or give one with `coview calibrate file "
            f"{session} CALIBRATION`.",
            "cameras": f"Its lenses are not known: give a calibration with `coview calibrate file {session} "
            f"CALIBRATION`, or import again with one.",
            "joints3d": f"Its 3D joints are not known: run `coview calibrate people {session}` (or `file`, `board`), "
            f"then `coview reconstruct {session}`.",
            "images": "A session holds 2D joints; choose a method that reads them.",
        }.get(field, "")

    def on(self, skeleton: Skeleton) -> "RecordedConfig":
        """The same sessions as joints of a model's skeleton, unless one is asked for or coview has no name for it."""
        return replace(self, skeleton=self.skeleton or skeleton.name) if skeleton in SKELETONS else self

    def train(self) -> InMemory:
        """The first part of every session."""
        return self._part(first=True)

    def validation(self) -> InMemory:
        """The last part of every session, in order."""
        return self._part(first=False)

    def _part(self, first: bool) -> InMemory:
        if not self.sessions:
            raise InputError("no session to learn from was given. Name its folder: --data <session>.")
        named = self.cameras if first else self.test_cameras or self.cameras
        least = 1 if self.test_cameras and not first else 2
        loaded = [self._load(path, rig, named, least) for rig, path in enumerate(self.sessions)]
        parts = []
        for path, instants in zip(self.sessions, loaded, strict=True):
            frames = torch.arange(len(instants.rig))
            begin = round(len(frames) * (1 - self.validation_share))
            frames = frames[:begin] if first else frames[begin:]
            kept = _useful(instants, frames, path, "training" if first else "validation", least)
            parts.append(instants[kept])
        counts = {str(path): part.joints2d.shape[1] for path, part in zip(self.sessions, parts, strict=True)}
        if len(set(counts.values())) > 1:
            raise InputError(f"sessions with different numbers of cameras cannot be one data set: {counts}.")
        return InMemory(joined(parts))

    def _load(self, path: Path, rig: int, named: tuple[str, ...], least: int) -> MultiView:
        session = Session.load(path)
        names = named or session.camera_names
        views = [_index(session, name) for name in names]
        if len(views) < least:
            raise InputError(f"session {path}: learning needs 2 or more cameras, got {len(views)}: {names}.")
        skeleton = named_skeleton(self.skeleton) if self.skeleton else training_skeleton(session.skeleton)
        joints2d, confidence = session_joints(session, skeleton)
        every = slice(None, None, self.stride)
        frames = len(joints2d[every])
        seen = MultiView(
            skeleton,
            joints2d=joints2d[every, views],
            confidence=confidence[every, views],
            rig=torch.full((frames,), rig),
            subject=torch.full((frames,), rig),  # one person per session, and nobody says who
            sequence=torch.full((frames,), rig),
            time=torch.arange(frames) * (self.stride / session.fps),
        )
        sizes = [image_sizes(session)[view] for view in views]
        if None not in sizes:
            seen = seen.replaced(image_size=torch.tensor(sizes).float().expand(frames, -1, -1))
        return seen.replaced(**_truth(session, skeleton, tuple(names), every, frames))

    def _sized(self, session: Session) -> bool:
        """Whether the image sizes of all cameras are known that training reads."""
        sizes = dict(zip(session.camera_names, image_sizes(session), strict=True))
        return None not in [sizes[name] for name in self.cameras or sizes if name in sizes]


def training_skeleton(skeleton: Skeleton) -> Skeleton:
    """The skeleton that models are trained on for recordings with this one: H36M-17 where possible.

    Else COCO-19 (no head top, no spine), else the recording's own."""
    return next((target for target in (H36M_17, COCO_19) if can_map(skeleton, target)), skeleton)


def joints_for(detected: Skeleton, skeleton: Skeleton) -> SkeletonMap:
    """The map from a detector's skeleton to the one that a model has, whose joints may be absent but for its root.

    LookupError naming the joints that cannot be had where the root is one of them."""
    mapped = skeleton_map(detected, skeleton, partial=True)
    return skeleton_map(detected, skeleton) if skeleton.root in mapped.absent else mapped


def session_joints(
    session: Session, skeleton: Skeleton
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """One person's pixels (NaN: not seen) and confidence, as joints of `skeleton`, all views at the same times.

    Joints that the session's skeleton cannot give are not seen in any view. Raises LookupError where that is the
    root."""
    mapped = joints_for(session.skeleton, skeleton)
    joints2d, confidence = session_tracks(session)
    return mapped.apply(joints2d), mapped.confidence(confidence)


def _index(session: Session, camera: str) -> int:
    if camera not in session.camera_names:
        raise UnknownNameError(
            f"session {session.path} has no camera '{camera}'; it has: {', '.join(session.camera_names)}."
        )
    return session.camera_names.index(camera)


def session_lenses(session: Session) -> Cameras | None:
    """Its cameras without their places (NaN), in its order; None where its lenses are not known."""
    known = known_cameras(session)
    return None if known is None else known.without_extrinsics().cameras.to(torch.float32)


def _truth(
    session: Session, skeleton: Skeleton, names: tuple[str, ...], every: slice, frames: int
) -> dict[str, object]:
    """Cameras and reconstructed 3D joints where the session has them."""
    found: dict[str, object] = {}
    if (known := known_cameras(session)) is not None:
        cameras = known.select(names).cameras.to(torch.float32)
        found["cameras"] = cameras.expand(frames, len(names))
    if session.poses3d_path.is_file():
        poses = session.poses3d()
        points = skeleton_map(poses.skeleton, skeleton, partial=True).apply(poses.points.float())[every]
        if len(points) != frames:
            raise InputError(
                f"session {session.path}: {len(points)} frames of 3D joints, but {frames} of 2D joints. "
                f"Run `coview reconstruct` again."
            )
        found["joints3d"] = points
    return found


def _useful(instants: MultiView, frames: Tensor, path: Path, purpose: str, least: int) -> Tensor:
    """The frames in which at least so many views see the person."""
    seen = (instants.confidence[frames] > 0).sum(dim=-1) >= _SEES
    kept = frames[seen.sum(dim=-1) >= least]
    if not len(kept):
        where = "two cameras at once" if least > 1 else "the camera"
        raise InputError(
            f"session {path}: of {len(frames)} frames for {purpose}, none has a person with {_SEES} or more "
            f"joints in {where}. Look at the detections, or use other cameras."
        )
    return kept
