"""Reads the 2D joints of single cameras from a session or a file, as joints of the model's skeleton."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.session_dataset import joints_for, session_intrinsics, session_joints
from coview.errors import MissingFileError, UnknownNameError
from coview.formats.keypoints.detections import Detections
from coview.formats.keypoints.guess_skeleton import body_part, which_skeleton
from coview.formats.keypoints.named_joints import said_skeleton
from coview.formats.keypoints.normalised import in_pixels
from coview.formats.keypoints.sources import source_at
from coview.formats.session.known_cameras import image_sizes
from coview.formats.session.session import FILE as SESSION_FILE
from coview.formats.session.session import Session
from coview.skeletons import Skeleton, SkeletonMap, skeleton_map


@dataclass(frozen=True)
class View:
    """The 2D joints of one camera, ready for a model."""

    name: str
    # pixels; NaN: not seen
    joints2d: Float[Tensor, "frames joints 2"]
    confidence: Float[Tensor, "frames joints"]
    # of the image, pixels; None: not known
    size: Float[Tensor, "2"] | None
    fps: float | None
    # those of the model's skeleton that the size of a pose is measured by
    bones: Bool[Tensor, "bones"]
    # mean over these bones of the person, metres; None: not known
    bone_length: float | None
    # where that length comes from, in words
    bone_source: str
    # joints of the model's skeleton that the detector does not give
    absent: tuple[str, ...] = ()
    # one camera without its place (NaN); None: not known
    lens: Cameras | None = None


def read_views(
    source: Path,
    target: Skeleton,
    *,
    camera: str | None = None,
    size: tuple[int, int] | None = None,
    skeleton: str | None = None,
) -> Iterator[View]:
    """2D joints of single cameras, from a session, a 2D joint file or an OpenPose folder.

    Joints of `target` that the detector's skeleton cannot give are NaN with confidence 0 in all frames.

    Args:
        source: The session's folder, the file or the folder.
        target: Skeleton of the model.
        camera: Camera of the session; default: all.
        size: Width and height of the image in pixels, where a file does not state it.
        skeleton: Skeleton of a file that does not state it.

    Returns:
        The views, one at a time.

    Raises:
        UnknownNameError: The detector's skeleton cannot give the root, or the session has no such camera.
    """
    if (source / SESSION_FILE).is_file():
        yield from _session_views(Session.load(source), target, camera)
    else:
        yield _file_view(source, target, size, skeleton)


def mean_bone_length(
    points: Float[Tensor, "*batch joints 3"], skeleton: Skeleton, bones: Bool[Tensor, "bones"] | None = None
) -> Float[Tensor, "*batch"]:
    """Mean length of a pose's bones, which depends on the person and not on the pose.

    Args:
        points: Joints, in any unit.
        skeleton: Skeleton of the joints.
        bones: Which bones to average; default: all.

    Returns:
        In the unit of the points; NaN where a bone is not known.
    """
    lengths = _bone_lengths(points, skeleton)
    return (lengths if bones is None else lengths[..., bones]).mean(dim=-1)


def _session_views(session: Session, skeleton: Skeleton, camera: str | None) -> Iterator[View]:
    names = session.camera_names
    if camera is not None and camera not in names:
        raise UnknownNameError(
            f"session {session.path} has no camera '{camera}'; it has: {', '.join(names)}."
        )
    mapped = joints_for(session.skeleton, skeleton)
    joints2d, confidence = session_joints(session, skeleton)
    bones, bone_length, source = _reconstructed_bones(session, mapped)
    intrinsics, sizes = session_intrinsics(session), image_sizes(session)
    for view, name in enumerate(names):
        if camera in (None, name):
            pixels = sizes[view]
            size = None if pixels is None else torch.tensor([float(side) for side in pixels])
            lens = None if intrinsics is None else intrinsics[view]
            seen = joints2d[:, view], confidence[:, view]
            yield View(name, *seen, size, session.fps, bones, bone_length, source, mapped.absent, lens)


def _reconstructed_bones(
    session: Session, seen: SkeletonMap
) -> tuple[Bool[Tensor, "bones"], float | None, str]:
    """The bones that detections and reconstruction have, their mean length (None: not known), and what it is."""
    skeleton, bones = seen.target, bones_of(seen)
    if not session.poses3d_path.is_file():
        return bones, None, f"session {session.path} has no reconstructed 3D joints"
    poses = session.poses3d()
    mapped = skeleton_map(poses.skeleton, skeleton, partial=True)
    both = bones & bones_of(mapped)
    # medians over time, bone by bone: single frames may lack a bone or hold a wild one
    lengths = _bone_lengths(mapped.apply(poses.points), skeleton).nanmedian(dim=0).values[both]
    if not len(lengths) or not bool(lengths.isfinite().all()):
        return bones, None, f"the 3D joints of session {session.path} never show all bones of {skeleton.name}"
    source = f"mean bone length of the 3D joints reconstructed in session {session.path}"
    return both, float(lengths.mean()), source


def bones_of(mapped: SkeletonMap) -> Bool[Tensor, "bones"]:
    """Which bones of a map's target have both joints.

    Args:
        mapped: The map.

    Returns:
        One flag per bone.
    """
    return torch.tensor([not set(bone) & set(mapped.absent) for bone in mapped.target.bones])


def _file_view(source: Path, target: Skeleton, size: tuple[int, int] | None, asked: str | None) -> View:
    if not source.exists():
        raise MissingFileError(f"{source} is not there. Give a session, a 2D joint file or a folder of JSON.")
    read = in_pixels(source_at(source).read(), source.name, size)
    said = None if asked else said_skeleton(read)
    points = body_part(read.points[None], asked or said)
    skeleton, _ = which_skeleton(points, asked, said)
    mapped = joints_for(skeleton, target)
    joints2d, confidence = Detections.make(points).single()
    image_size = size or read.size
    return View(
        source.stem,
        mapped.apply(joints2d[0]),
        mapped.confidence(confidence[0]),
        None if image_size is None else torch.tensor([float(image_size[0]), float(image_size[1])]),
        read.fps,
        bones_of(mapped),
        None,
        "one camera alone cannot tell how large a person is",
        mapped.absent,
    )


def _bone_lengths(
    points: Float[Tensor, "*batch joints 3"], skeleton: Skeleton
) -> Float[Tensor, "*batch bones"]:
    parents, children = (list(ends) for ends in zip(*skeleton.bone_indices, strict=True))
    return (points[..., children, :] - points[..., parents, :]).norm(dim=-1)
