"""A recorded session as a data set: it is trained on its 2D joints; its 3D joints, if any, only evaluate."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory, joined
from coview.errors import InputError, UnknownNameError
from coview.formats.session.known_cameras import has_intrinsics, image_sizes, known_cameras
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

# detected joints with which a view counts as seeing the person
_SEES = 4


@dataclass(frozen=True)
class RecordedConfig(DataConfig):
    """One or more sessions (`coview import`) with the same number of cameras; each is a rig of its own."""

    # session folders (with a session.toml)
    sessions: tuple[Path, ...] = ()
    # names of the cameras to use; empty: all
    cameras: tuple[str, ...] = ()
    # cameras of the validation; default: those of the training
    test_cameras: tuple[str, ...] = ()
    # share of every session, at its end, for the validation: neighbouring frames are too alike to mix
    validation_share: float = 0.2
    # use every n-th frame
    stride: int = 1
    # name of the skeleton to learn; None: h36m_17 where the recorded joints give it, else coco_19, else their own.
    # Joints that the recording lacks count as not detected
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
        """Fields of the training instants.

        Image sizes where all sessions, or their calibrations, have them; cameras where all sessions have intrinsics,
        with NaN extrinsics where they are not calibrated; 3D joints where all sessions are reconstructed."""
        found = frozenset({"joints2d", "confidence", "rig", "subject", "sequence", "time"})
        sessions = [Session.load(path) for path in self.sessions]
        if all(self._sized(session) for session in sessions):
            found |= {"image_size"}
        if sessions and all(has_intrinsics(session) for session in sessions):
            found |= {"cameras"}
        if sessions and all(session.poses3d_path.is_file() for session in sessions):
            found |= {"joints3d"}
        return found

    def remedy(self, field: str) -> str:
        """What a user can do where a needed field is not provided.

        Args:
            field: name of the field."""
        if not self.sessions:
            return "No session was given: name its folder with --data SESSION."
        session = self.sessions[0]
        return {
            "image_size": f"The image size of some camera is not known, so its image centre is not either: import "
            f"again with the videos or a calibration beside the 2D joints, or give one with `coview calibrate file "
            f"{session} CALIBRATION`.",
            "cameras": f"Its intrinsics are not known: give a calibration with `coview calibrate file {session} "
            f"CALIBRATION`, or import again with one.",
            "joints3d": f"Its 3D joints are not known: run `coview calibrate people {session}` (or `file`, `board`), "
            f"then `coview reconstruct {session}`.",
            "images": "A session holds 2D joints; choose a method that reads them.",
        }.get(field, "")

    def on(self, skeleton: Skeleton) -> "RecordedConfig":
        """The same sessions with the joints of a model's skeleton.

        Args:
            skeleton: of the model. Ignored where one is configured, or for a skeleton without a name in coview."""
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
            first_validation = round(len(frames) * (1 - self.validation_share))
            frames = frames[:first_validation] if first else frames[first_validation:]
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
            # one person per session, and nobody says who
            subject=torch.full((frames,), rig),
            sequence=torch.full((frames,), rig),
            time=torch.arange(frames) * (self.stride / session.fps),
        )
        every_size = image_sizes(session)
        sizes = [every_size[view] for view in views]
        if None not in sizes:
            seen = seen.replaced(image_size=torch.tensor(sizes).float().expand(frames, -1, -1))
        return seen.replaced(**_truth(session, skeleton, tuple(names), every, frames))

    def _sized(self, session: Session) -> bool:
        """Whether the image sizes of all cameras used in training are known."""
        sizes = dict(zip(session.camera_names, image_sizes(session), strict=True))
        return None not in [sizes[name] for name in self.cameras or sizes if name in sizes]


def training_skeleton(skeleton: Skeleton) -> Skeleton:
    """The skeleton that models are trained on: H36M-17 where the recorded joints give it, else COCO-19, else the own
    one.

    Args:
        skeleton: of the recording."""
    return next((target for target in (H36M_17, COCO_19) if can_map(skeleton, target)), skeleton)


def joints_for(detected: Skeleton, skeleton: Skeleton) -> SkeletonMap:
    """The map from a detector's skeleton to a model's; joints other than the root may be absent.

    Args:
        detected: skeleton of the detector.
        skeleton: of the model.

    Raises:
        LookupError: the root cannot be had; names the joints that cannot."""
    mapped = skeleton_map(detected, skeleton, partial=True)
    return skeleton_map(detected, skeleton) if skeleton.root in mapped.absent else mapped


def session_joints(
    session: Session, skeleton: Skeleton
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """2D joints of one person in all views, synchronised, as joints of a skeleton.

    Args:
        session: with 2D joints.
        skeleton: of the result. Joints that the session cannot give are missing in all views.

    Returns:
        Pixels (NaN: not detected) and confidences.

    Raises:
        LookupError: the root cannot be had."""
    mapped = joints_for(session.skeleton, skeleton)
    joints2d, confidence = session_tracks(session)
    return mapped.apply(joints2d), mapped.confidence(confidence)


def _index(session: Session, camera: str) -> int:
    if camera not in session.camera_names:
        raise UnknownNameError(
            f"session {session.path} has no camera '{camera}'; it has: {', '.join(session.camera_names)}."
        )
    return session.camera_names.index(camera)


def session_intrinsics(session: Session) -> Cameras | None:
    """The cameras of a session with NaN extrinsics, in its order.

    Args:
        session: to read.

    Returns:
        float32 cameras; None where the intrinsics are not known."""
    calibration = known_cameras(session)
    return None if calibration is None else calibration.without_extrinsics().cameras.to(torch.float32)


def _truth(
    session: Session, skeleton: Skeleton, names: tuple[str, ...], every: slice, frames: int
) -> dict[str, object]:
    """Cameras and reconstructed 3D joints where the session has them."""
    found: dict[str, object] = {}
    if (calibration := known_cameras(session)) is not None:
        cameras = calibration.select(names).cameras.to(torch.float32)
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
    """The frames in which at least `least` views detected the person."""
    seen = (instants.confidence[frames] > 0).sum(dim=-1) >= _SEES
    kept = frames[seen.sum(dim=-1) >= least]
    if not len(kept):
        where = "two cameras at once" if least > 1 else "the camera"
        raise InputError(
            f"session {path}: of {len(frames)} frames for {purpose}, none has a person with {_SEES} or more "
            f"joints in {where}. Look at the detections, or use other cameras."
        )
    return kept
